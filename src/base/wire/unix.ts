// Wires over UNIX stream sockets: one frame a line, both ways.
import { type Server, type Socket, createServer, connect } from 'node:net'
import type { Clock } from '../../kernel/clock.ts'
import { faults, reasonOf } from '../../kernel/fault.ts'
import { removeFile, setMode, statOf } from '../../kernel/file.ts'
import { type LinesOptions, linesWire } from './lines.ts'
import type { Wire } from './wire.ts'

const fault = faults('socket', {
  unreachable: (d: { path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `nothing answers at ${d.path} (${d.reason})`,
    hint: 'is the daemon running? try: fairlead up',
  }),
  busy: (d: { path: string }) => ({
    kind: 'conflict',
    message: `another process serves ${d.path} already`,
    hint: 'stop it first, or choose another folder',
  }),
  cannot_listen: (d: { path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `cannot listen at ${d.path}: ${d.reason}`,
    hint: 'is the folder there, and is the path shorter than 108 characters?',
  }),
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
    socket.once('error', (error) => reject(fault.unreachable({ path, reason: reasonOf(error) }, error)))
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

const maxPreambleBytes = 4_096
const preambleMs = 5_000

/** As `unixServer`, for connections that say in one line who they are before the frames begin. A connection without such a line is dropped. */
export function preambleServer(clock: Clock, accept: (wire: Wire, preamble: string) => void, options: LinesOptions = {}): Server {
  return createServer((socket) => {
    let head: Buffer = Buffer.alloc(0)
    const cancel = clock.after(preambleMs, () => socket.destroy())
    const onData = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk])
      const end = head.indexOf(0x0a)
      if (end < 0 && head.length <= maxPreambleBytes) return
      cancel()
      socket.off('data', onData)
      if (end < 0 || end > maxPreambleBytes) return void socket.destroy()
      socket.pause()
      if (end + 1 < head.length) socket.unshift(head.subarray(end + 1))
      accept(socketWire(socket, options), head.toString('utf8', 0, end))
    }
    socket.on('data', onData)
    socket.on('error', () => socket.destroy())
    socket.on('close', cancel)
  })
}

/** Listens at `path` for its owner only (0600); a socket file that nobody serves any more is removed first. Fault `socket.busy`. */
export async function listenUnix(server: Server, path: string): Promise<void> {
  if (statOf(path)?.isSocket()) {
    const isServed = await connectUnix(path).then(
      (wire) => wire.close().then(() => true),
      () => false,
    )
    if (isServed) throw fault.busy({ path })
    removeFile(path)
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(fault.cannot_listen({ path, reason: reasonOf(error) }, error)))
    server.listen(path, resolve)
  })
  setMode(path, 0o600)
}
