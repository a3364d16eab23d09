// A peer host that runs in another process of the same owner, used through its socket as if it were our own.
import type { Socket } from 'node:net'
import { Fault } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { randomId } from '../../../kernel/random.ts'
import { connectSocket, firstLine } from '../../wire/unix.ts'
import { fault } from '../fault.ts'
import type { PeerHost, PeerStream } from './host.ts'
import {
  type About,
  type Dialled,
  type Incoming,
  type Refused,
  type Told,
  lineText,
  readLines,
  refusedFault,
  socketVersion,
} from './socket.ts'
import { closeBoth } from '../stream.ts'

/** How long the host may take to say who it is. */
const aboutMs = 5_000

export type AttachNeeds = {
  readonly clock: Clock
  /** Whether an incoming stream of a protocol that we serve is for us; when nobody wants it, we may have to take it and refuse. */
  readonly wants: (peerId: string, protocol: string) => boolean
}

export interface AttachedHost extends PeerHost {
  readonly about: About
  /** Resolves when the host is gone, or we are. */
  readonly ended: Promise<void>
}

/**
 * Attaches to the host at `path`; undefined when nobody listens there. `asks` is for the composer of the host. Fault `peer.host_silent` when somebody listens,
 * but does not answer; `peer.host_gone` from `dial` when the host ended before it answered.
 */
export async function attachHost({ clock, wants }: AttachNeeds, path: string, asks: readonly string[]): Promise<AttachedHost | undefined> {
  const control = await connectSocket(path, false).catch(() => undefined)
  if (!control) return undefined
  control.on('error', () => control.destroy())
  const ended = new Promise<void>((resolve) => control.once('close', () => resolve()))
  const cancel = clock.after(aboutMs, () => control.destroy())
  control.write(lineText({ fairlead: socketVersion, do: 'attach', asks }))
  const line = await firstLine(control)
  cancel()
  if (line === undefined) {
    control.destroy()
    throw fault.host_silent({ path })
  }
  const about = JSON.parse(line) as About
  const { peerId } = about
  const handlers = new Map<string, (stream: PeerStream) => void>()

  const streamOn = (socket: Socket, name: string, { peer, address, isRelayed, protocol }: Dialled): PeerStream => ({
    remotePeer: peer,
    remoteAddress: address,
    isRelayed,
    protocol,
    duplex: socket,
    close: () => closeBoth(socket, clock),
    abort(what = 'stream') {
      if (what !== 'stream') control.write(lineText({ is: 'drop', stream: name, what }))
      socket.destroy()
    },
  })
  const open = async (): Promise<Socket> => {
    const socket = await connectSocket(path).catch((error: unknown) => {
      throw fault.host_gone({ peerId }, error)
    })
    socket.on('error', () => {}) // who reads or writes sees it there
    return socket
  }
  const take = async ({ stream, must, ...from }: Incoming): Promise<void> => {
    const accept = handlers.get(from.protocol)
    if (!accept || !(must || wants(from.peer, from.protocol))) return void control.write(lineText({ is: 'no', stream }))
    const socket = await open()
    socket.write(lineText({ fairlead: socketVersion, do: 'take', stream }))
    accept(streamOn(socket, stream, from))
  }
  readLines<Told>(control, (told) => {
    if (told.is === 'incoming') take(told).catch(() => control.destroy())
  })

  return {
    peerId,
    about,
    ended,
    addresses: () => about.addresses,
    handle(protocol, accept) {
      handlers.set(protocol, accept)
      control.write(lineText({ is: 'serve', protocol }))
    },
    unhandle: (protocol) => void handlers.delete(protocol),
    async dial(peer, addresses, protocol, signal) {
      const stream = randomId()
      const socket = await open()
      const stop = (): void => void socket.destroy()
      signal?.addEventListener('abort', stop)
      try {
        if (signal?.aborted) stop()
        else socket.write(lineText({ fairlead: socketVersion, do: 'dial', stream, peer, addresses, protocol }))
        const line = await firstLine(socket)
        if (signal?.aborted) throw fault.unreachable({ peerId: peer ?? 'the peer', addresses, problem: 'gave up waiting for an answer' })
        if (line === undefined) throw fault.host_gone({ peerId })
        const answer = JSON.parse(line) as Dialled | Refused
        if ('refused' in answer) throw refusedFault(answer)
        return streamOn(socket, stream, answer)
      } catch (error) {
        socket.destroy()
        throw error instanceof Fault ? error : fault.host_gone({ peerId }, error)
      } finally {
        signal?.removeEventListener('abort', stop)
      }
    },
    async close() {
      control.destroy()
      await ended
    },
  }
}
