// Wires over UNIX stream sockets: one frame a line, both ways.
import { type Server, type Socket, createServer, connect } from 'node:net'
import { faults } from '../../kernel/fault.ts'
import { type LinesOptions, linesWire } from './lines.ts'
import type { Wire } from './wire.ts'

const fault = faults('socket', {
  unreachable: (d: { path: string; reason: string }) => ({ kind: 'unavailable', message: `nothing answers at ${d.path} (${d.reason})`, hint: 'is the daemon running? try: fairlead up' }),
})

function socketWire(socket: Socket, options: LinesOptions): Wire {
  return linesWire(socket, socket, {
    ...options,
    onClose: async () => {
      socket.destroy()
      await options.onClose?.()
    },
  })
}

/** Connects to the socket at `path`; fault `socket.unreachable` when nobody listens there. */
export function connectUnix(path: string, options: LinesOptions = {}): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.once('error', (error: NodeJS.ErrnoException) => reject(fault.unreachable({ path, reason: error.code ?? error.message }, error)))
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socketWire(socket, options))
    })
  })
}

/** A server that hands each connection over as a wire. The caller decides path, folder and mode, and listens. */
export function unixServer(accept: (wire: Wire) => void, options: LinesOptions = {}): Server {
  return createServer((socket) => accept(socketWire(socket, options)))
}
