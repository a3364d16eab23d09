// Wires over UNIX stream sockets: one frame a line, both ways.
import { type Server, type Socket, createServer, connect } from 'node:net'
import { basename, dirname } from 'node:path'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../kernel/clock.ts'
import { asFault, faults, reasonOf } from '../../kernel/fault.ts'
import { movePath, removeFile, setGroup, setMode, statOf } from '../../kernel/file.ts'
import { type FolderLock, lockFolder } from '../store/lock.ts'
import { answeredLine, tooLargeLine } from './bad-line.ts'
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

/** Connects to the socket at `path`, for bytes of any kind; half-close works both ways. Fault `socket.unreachable` when nobody listens there. */
export function connectSocket(path: string, allowHalfOpen = true): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen })
    socket.once('error', (error) => reject(fault.unreachable({ path, reason: reasonOf(error) }, error)))
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
  })
}

/**
 * Connects to the server at `path`, with its messages over the limit answered, or passed on as errors; fault `socket.unreachable` when nobody listens there.
 */
export async function connectUnix(path: string, options: LinesOptions = {}): Promise<Wire> {
  const wire = socketWire(await connectSocket(path, false), {
    onBadLine: (problem) => tooLargeLine(problem, (frame) => wire.write(frame)) ?? 'end',
    ...options,
  })
  return wire
}

/** A server that hands each connection over as a wire. `optionsOf`: of each connection, which is known when they are used. The caller decides path, folder and mode, and listens. */
export function unixServer(accept: (wire: Wire) => void, optionsOf: (wire: () => Wire) => LinesOptions = () => ({})): Server {
  return createServer((socket) => {
    const wire: Wire = socketWire(
      socket,
      optionsOf(() => wire),
    )
    accept(wire)
  })
}

const maxPreambleBytes = 16_384
const preambleMs = 5_000

/**
 * Takes the first line off a stream, without its line feed, and leaves the rest in it, neither flowing nor paused. Undefined when the stream ended before
 * that, or the line has more than 16 KiB.
 */
export function firstLine(stream: Duplex): Promise<string | undefined> {
  return new Promise((resolve) => {
    let head: Buffer = Buffer.alloc(0)
    const done = (line: string | undefined): void => {
      stream.off('readable', take).off('end', fail).off('close', fail).off('error', fail)
      resolve(line)
    }
    const fail = (): void => done(undefined)
    const take = (): void => {
      for (let chunk = stream.read() as Buffer | null; chunk; chunk = stream.read() as Buffer | null) {
        head = Buffer.concat([head, chunk])
        const end = head.indexOf(0x0a)
        if (end > maxPreambleBytes || (end < 0 && head.length > maxPreambleBytes)) return fail()
        if (end < 0) continue
        done(head.toString('utf8', 0, end))
        if (end + 1 < head.length) stream.unshift(head.subarray(end + 1))
        return
      }
    }
    stream.on('readable', take).on('end', fail).on('close', fail).on('error', fail)
  })
}

/** As `preambleServer`, for bytes of any kind; half-close works both ways. */
export function preambleSockets(clock: Clock, accept: (socket: Socket, preamble: string) => void, allowHalfOpen = true): Server {
  return createServer({ allowHalfOpen }, (socket) => {
    const cancel = clock.after(preambleMs, () => socket.destroy())
    socket.on('error', () => socket.destroy())
    void firstLine(socket).then((preamble) => {
      cancel()
      if (preamble === undefined) socket.destroy()
      else accept(socket, preamble)
    })
  })
}

/**
 * As `unixServer`, for clients that say in one line who they are before the frames begin, and are told of lines that are no frames. A connection without such a
 * line is dropped.
 */
export function preambleServer(clock: Clock, accept: (wire: Wire, preamble: string) => void, options: LinesOptions = {}): Server {
  const wireOf = (socket: Socket): Wire => {
    const wire = socketWire(socket, { onBadLine: (problem) => answeredLine(problem, (frame) => wire.write(frame)), ...options })
    return wire
  }
  return preambleSockets(clock, (socket, preamble) => accept(wireOf(socket), preamble), false)
}

/** Listens at `path` for its owner only (0600); a socket file that nobody serves any more is removed first. Fault `socket.busy`. */
export async function listenUnix(server: Server, path: string): Promise<void> {
  await removeDead(path)
  await bind(server, path)
  setMode(path, 0o600)
}

/**
 * Listens at `path` for whoever `mode` and `group` let connect, from the first moment on, and keeps others from taking it over, by a lock in its folder,
 * until it is disposed of; the server is closed by its owner. Faults `socket.busy`, `socket.cannot_listen`, and those of `lockFolder` but `store.locked`.
 */
export async function holdUnix(server: Server, path: string, mode: number, group?: number): Promise<Disposable> {
  const lock = lockOf(path)
  try {
    await removeDead(path)
    const beside = `${path}.new` // nobody knows it while anybody might still connect
    removeFile(beside)
    await bind(server, beside)
    if (group !== undefined) setGroup(beside, group)
    setMode(beside, mode)
    movePath(beside, path)
  } catch (error) {
    lock.release()
    throw error
  }
  return {
    [Symbol.dispose]() {
      removeFile(path)
      lock.release()
    },
  }
}

function lockOf(path: string): FolderLock {
  try {
    return lockFolder(dirname(path), basename(path))
  } catch (error) {
    throw asFault(error).code === 'store.locked' ? fault.busy({ path }, error) : error
  }
}

async function removeDead(path: string): Promise<void> {
  const there = statOf(path)
  if (!there) return
  if (!there.isSocket()) throw fault.cannot_listen({ path, reason: 'what is there is no socket' })
  const isServed = await connectUnix(path).then(
    (wire) => wire.close().then(() => true),
    () => false,
  )
  if (isServed) throw fault.busy({ path })
  removeFile(path)
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(fault.cannot_listen({ path, reason: reasonOf(error) }, error)))
    server.listen(path, resolve)
  })
}
