// The door for clients of this machine: a UNIX socket in the gate's own folder, which nobody but its owner can reach. One socket is one principal.
import { join } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { reasonOf } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { Local } from '../base/mcp/door/http.ts'
import type { Endpoint } from '../base/mcp/scopes.ts'
import { serveWire } from '../base/mcp/door/wire.ts'
import { tooLargeLine } from '../base/wire/bad-line.ts'
import { connectSocket, listenUnix, preambleServer } from '../base/wire/unix.ts'
import { linesWire } from '../base/wire/lines.ts'
import type { ScanLimits } from '../base/wire/walk.ts'
import type { Wire } from '../base/wire/wire.ts'
import type { OpenPlace, Place } from './places.ts'

/** Where the gate whose state is in `folder` listens for them. */
export function localSocket(folder: string): string {
  return join(folder, 'local.sock')
}

export type LocalDoorNeeds = {
  readonly clock: Clock
  readonly log: Log
  /** The endpoint of an upstream; of all for none. */
  readonly endpoint: (upstream: string | undefined) => Endpoint | undefined
  /** Who everyone is now that comes in here. */
  readonly who: Local
}

/** Listens. Faults: `socket.busy`, `socket.cannot_listen`. */
export async function openLocalDoor(
  { clock, log, endpoint, who }: LocalDoorNeeds,
  { path }: Place,
  limits: ScanLimits,
): Promise<OpenPlace> {
  const wires = new Map<Wire, string>()
  const accept = (wire: Wire, preamble: string): void => {
    const asked = upstreamOf(preamble)
    const found = asked && endpoint(asked.upstream)
    const principal = who()
    if (!found || !principal) return void wire.close().catch(() => {})
    wires.set(wire, principal.name)
    void wire.ended.then(() => wires.delete(wire))
    serveWire(wire, found, principal, (error) => log.error('gate.local.failed', { reason: reasonOf(error) }))
  }
  const server = preambleServer(clock, accept, { limits })
  await listenUnix(server, path)
  return {
    recheck() {
      for (const [wire, name] of wires) if (who()?.name !== name) wire.close().catch(() => {})
    },
    async close() {
      server.close()
      await Promise.all([...wires.keys()].map((wire) => wire.close()))
    },
  }
}

/** A wire to the gate that listens there. Fault `socket.unreachable`. */
export async function connectLocal(folder: string, upstream: string | undefined, limits: ScanLimits): Promise<Wire> {
  const socket = await connectSocket(localSocket(folder), false)
  socket.write(`${JSON.stringify({ fairlead: 1, ...(upstream === undefined ? {} : { upstream }) })}\n`)
  const wire: Wire = linesWire(socket, socket, {
    limits,
    onBadLine: (problem) => tooLargeLine(problem, (frame) => wire.write(frame)) ?? 'end',
    onClose: () => void socket.destroy(),
  })
  return wire
}

function upstreamOf(preamble: string): { readonly upstream: string | undefined } | undefined {
  try {
    const { fairlead, upstream } = JSON.parse(preamble) as { readonly [member: string]: unknown }
    if (fairlead !== 1 || (upstream !== undefined && typeof upstream !== 'string')) return undefined
    return { upstream }
  } catch {
    return undefined
  }
}
