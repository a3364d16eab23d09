// The socket of a peer host: other processes of the same owner dial and serve through it, each as if the host were its own. It knows streams, and nothing of
// what they carry.
import type { Socket } from 'node:net'
import { asFault } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import { randomId } from '../../../kernel/random.ts'
import { listenUnix, preambleSockets } from '../../wire/unix.ts'
import type { PeerHost, PeerStream } from './host.ts'
import { type About, type Dialled, type Opening, type Said, lineText, readLines, socketVersion, splice } from './socket.ts'
import { type Offer, type Switchboard, createSwitchboard } from './switchboard.ts'

/** How long an attached process may take to say whether it wants a stream. */
const answerMs = 5_000
const maxSockets = 4_096
/** A stream's name is kept a little longer than the stream, for a `drop` that comes after its end. */
const dropMs = 1_000

export type HostServerNeeds = {
  readonly host: PeerHost
  readonly clock: Clock
  readonly log: Log
  readonly about: () => About
  /** Told of all that the attached processes ask for, whenever that changes. */
  readonly onAsks: (asks: ReadonlySet<string>) => void
  /** See `SwitchboardNeeds`. */
  readonly settleMs: number
}

export interface HostServer {
  readonly board: Switchboard
  /** Ends every attached process's connections. */
  close(): Promise<void>
}

/** Listens at `path` (0600). Faults: `socket.busy`, `socket.cannot_listen`. */
export async function serveHost({ host, clock, log, about, onAsks, settleMs }: HostServerNeeds, path: string): Promise<HostServer> {
  const board = createSwitchboard({ host, clock, log, settleMs })
  const sockets = new Set<Socket>()
  const asked = new Map<Socket, readonly string[]>()
  const streams = new Map<string, PeerStream>()
  /** Streams that were announced, by name: who takes one brings a socket, who does not want it none. */
  const announced = new Map<string, (socket: Socket | undefined) => void>()

  const carry = async (name: string, stream: PeerStream, socket: Socket): Promise<void> => {
    streams.set(name, stream)
    await splice(socket, stream.duplex)
    clock.after(dropMs, () => streams.delete(name))
  }
  const offerOf = (control: Socket): Offer => ({
    async take(stream, must) {
      if (control.destroyed) return false
      const name = randomId()
      const incoming = { must, ...dialled(stream) }
      const taker = await new Promise<Socket | undefined>((resolve) => {
        const gone = (): void => resolve(undefined)
        const cancel = clock.after(answerMs, gone)
        control.once('close', gone)
        announced.set(name, (socket) => {
          cancel()
          control.off('close', gone)
          resolve(socket)
        })
        control.write(lineText({ is: 'incoming', stream: name, ...incoming }))
      })
      announced.delete(name)
      if (taker) void carry(name, stream, taker)
      return taker !== undefined
    },
  })
  const tellAsks = (): void => onAsks(new Set([...asked.values()].flat()))

  const attach = (socket: Socket, asks: readonly string[]): void => {
    const removers = new Map<string, () => void>()
    asked.set(socket, asks)
    tellAsks()
    socket.write(lineText({ is: 'about', ...about() }))
    readLines<Said>(socket, (said) => {
      if (said.is === 'serve') {
        if (!removers.has(said.protocol)) removers.set(said.protocol, board.add(said.protocol, offerOf(socket)))
      } else if (said.is === 'no') announced.get(said.stream)?.(undefined)
      else streams.get(said.stream)?.abort(said.what)
    })
    socket.once('end', () => socket.destroy()) // the attached process ended
    socket.once('close', () => {
      for (const remove of removers.values()) remove()
      asked.delete(socket)
      tellAsks()
    })
  }
  const dial = async (socket: Socket, { stream: name, peer, addresses, protocol }: Opening & { do: 'dial' }): Promise<void> => {
    try {
      const stream = await host.dial(peer, addresses, protocol)
      if (socket.destroyed) return stream.abort()
      socket.write(lineText(dialled(stream)))
      await carry(name, stream, socket)
    } catch (error) {
      socket.end(lineText({ refused: asFault(error).toJSON() }))
      socket.resume()
    }
  }
  const server = preambleSockets(clock, (socket, preamble) => {
    const opening = openingOf(preamble)
    if (!opening || sockets.size >= maxSockets) return void socket.destroy()
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    if (opening.do === 'attach') return attach(socket, opening.asks)
    if (opening.do === 'dial') return void dial(socket, opening)
    const taken = announced.get(opening.stream)
    if (taken) taken(socket)
    else socket.destroy()
  })
  await listenUnix(server, path)
  return {
    board,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function dialled({ remotePeer, remoteAddress, isRelayed, protocol }: PeerStream): Dialled {
  return { peer: remotePeer, address: remoteAddress, isRelayed, protocol }
}

function openingOf(preamble: string): Opening | undefined {
  try {
    const opening = JSON.parse(preamble) as Opening | null
    return opening?.fairlead === socketVersion ? opening : undefined
  } catch {
    return undefined
  }
}
