// The door for clients of this machine: a UNIX socket in the gate's own folder, which nobody but its owner can reach. One socket is one principal.
import { join } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { reasonOf } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { Principal } from '../base/access/principal.ts'
import type { Endpoint } from '../base/mcp/scopes.ts'
import { serveWire } from '../base/mcp/door/wire.ts'
import { tooLargeLine } from '../base/wire/bad-line.ts'
import { connectSocket, listenUnix, preambleServer } from '../base/wire/unix.ts'
import { linesWire } from '../base/wire/lines.ts'
import type { ScanLimits } from '../base/wire/walk.ts'
import type { Wire } from '../base/wire/wire.ts'

/** Where the gate whose state is in `folder` listens for them. */
export function localSocket(folder: string): string {
  return join(folder, 'local.sock')
}

export type LocalDoorNeeds = {
  readonly clock: Clock
  readonly log: Log
  /** The endpoint of an upstream; of all for none. */
  readonly endpoint: (upstream: string | undefined) => Endpoint | undefined
}

/** Listens; who connects is `principal`. Faults: `socket.busy`, `socket.cannot_listen`. */
export async function openLocalDoor(
  { clock, log, endpoint }: LocalDoorNeeds,
  { folder, principal: name }: { readonly folder: string; readonly principal: string },
  limits: ScanLimits,
): Promise<AsyncDisposable> {
  const principal: Principal = { name, via: 'door' }
  const wires = new Set<Wire>()
  const accept = (wire: Wire, preamble: string): void => {
    const asked = upstreamOf(preamble)
    const found = asked && endpoint(asked.upstream)
    if (!found) return void wire.close().catch(() => {})
    wires.add(wire)
    void wire.ended.then(() => wires.delete(wire))
    serveWire(wire, found, principal, (error) => log.error('gate.local.failed', { reason: reasonOf(error) }))
  }
  const server = preambleServer(clock, accept, { limits })
  await listenUnix(server, localSocket(folder))
  return {
    async [Symbol.asyncDispose]() {
      server.close()
      await Promise.all([...wires].map((wire) => wire.close()))
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
