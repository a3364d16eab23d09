// The doors of this machine: a UNIX socket for each of some principals. Who may connect is that principal, so its mode and folder decide.
import { dirname } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { statOf } from '../kernel/file.ts'
import type { Principal } from '../base/access/principal.ts'
import { localHosts } from '../base/http/host.ts'
import { closeServer, createHttpServer } from '../base/http/listener.ts'
import { holdUnix } from '../base/wire/unix.ts'
import { fault } from './faults.ts'
import type { FrontDoor } from './front-door.ts'

export type SocketSettings = {
  readonly path: string
  /** Who everyone is that comes in here. */
  readonly principal: string
  /** Of the socket's file: 0600 or 0660, say. */
  readonly mode: number
}

export type SocketDoorNeeds = {
  readonly clock: Clock
  readonly door: FrontDoor
}

/** Serves HTTP there. Faults `gate.loose_socket`, `socket.busy`, `socket.cannot_listen`. */
export async function openSocketDoor(
  { clock, door }: SocketDoorNeeds,
  { path, principal, mode }: SocketSettings,
  ownHosts: readonly string[],
  flushMs: number,
): Promise<AsyncDisposable> {
  const folder = dirname(path)
  const folderMode = statOf(folder)?.mode ?? 0
  const isSticky = (folderMode & 0o1000) !== 0
  if ((folderMode & 0o022) !== 0 && !isSticky) throw fault.loose_socket({ path, folder })
  const local: Principal = { name: principal, via: 'socket' }
  const server = createHttpServer({
    ownHosts: [...localHosts, ...ownHosts],
    handle: (request, response) => door.handle(request, response, local),
    refused: door.refused,
  })
  const held = await holdUnix(server, path, mode)
  return {
    async [Symbol.asyncDispose]() {
      held[Symbol.dispose]()
      await closeServer(server, clock, flushMs)
    },
  }
}
