// The doors of this machine: a UNIX socket for each of some principals. Who may connect is that principal, so its mode and folder decide.
import { dirname } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { statOf } from '../kernel/file.ts'
import { localHosts } from '../base/http/host.ts'
import { closeServer, createHttpServer } from '../base/http/listener.ts'
import type { Local } from '../base/mcp/door/http.ts'
import { holdUnix } from '../base/wire/unix.ts'
import { fault } from './faults.ts'
import type { FrontDoor } from './front-door.ts'
import type { OpenPlace, Place } from './places.ts'

export type SocketDoorNeeds = {
  readonly clock: Clock
  readonly door: FrontDoor
  /** Who everyone is now that comes in here. */
  readonly who: Local
}

/** Serves HTTP there. Faults `gate.loose_socket`, `socket.busy`, `socket.cannot_listen`. */
export async function openSocketDoor(
  { clock, door, who }: SocketDoorNeeds,
  { path, mode }: Place,
  ownHosts: readonly string[],
): Promise<OpenPlace> {
  const folder = dirname(path)
  const folderMode = statOf(folder)?.mode ?? 0
  const isSticky = (folderMode & 0o1000) !== 0
  if ((folderMode & 0o022) !== 0 && !isSticky) throw fault.loose_socket({ path, folder })
  const server = createHttpServer({
    ownHosts: [...localHosts, ...ownHosts],
    handle: (request, response) => door.handle(request, response, who),
    refused: door.refused,
  })
  const held = await holdUnix(server, path, mode)
  return {
    recheck: () => {}, // the front door does
    async close(graceMs) {
      held[Symbol.dispose]()
      await closeServer(server, clock, graceMs)
    },
  }
}
