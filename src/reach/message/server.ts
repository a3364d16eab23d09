// The recipient's side of `/fairlead/message/1`: within bounds of size, rate and time, each message goes to the desk, which answers with the receipt.
import { asFault, outside } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { PeerHost, PeerStream } from '../../base/peer/host/host.ts'
import { fault } from '../faults.ts'
import { readJson, writeJson } from '../json-frames.ts'
import { type MessageDesk, type MessageDeskNeeds, openMessageDesk } from './desk.ts'
import { type MessageAnswer, answerValue, maxRequestBytes, messageProtocol, readRequest } from './protocol.ts'
import { type Rate, rateLimit } from '../../base/access/rate.ts'

export type MessageServerNeeds = MessageDeskNeeds & { readonly host: Pick<PeerHost, 'handle'> }

export type MessageServerSettings = {
  /** 60 at once and one a second by default. */
  readonly perPeer?: Rate
  /** Of all peers behind one IP address: 600 at once and 20 a second by default. */
  readonly perAddress?: Rate
  /** A whole request must have come within this: 10 s by default. */
  readonly requestMs?: number
}

/** How long a sender may take to read its answer. */
const farewellMs = 5_000
/** Streams that are open at once, in all and of one peer. */
const maxStreams = 256
const maxStreamsPerPeer = 8

export interface MessageServer {
  /** Where all messages of this home go. */
  readonly desk: MessageDesk
  /** Takes no more; resolves when those under way are done. */
  close(): Promise<void>
}

/** Serves on the host, as the one process that does so for this home. Faults of the store. */
export function serveMessages(needs: MessageServerNeeds, settings: MessageServerSettings = {}): MessageServer {
  const { host, clock, log } = needs
  const { perPeer = { burst: 60, perSecond: 1 }, perAddress = { burst: 600, perSecond: 20 }, requestMs = 10_000 } = settings
  const peers = rateLimit(clock, perPeer)
  const addresses = rateLimit(clock, perAddress)
  const desk = openMessageDesk(needs)
  const streams = new Map<PeerStream, Promise<void>>()
  const reading = new Set<PeerStream>()
  let isClosed = false
  host.handle(messageProtocol, (stream) => {
    const { remotePeer, remoteAddress } = stream
    const ofPeer = [...streams.keys()].filter((other) => other.remotePeer === remotePeer).length
    if (isClosed || streams.size >= maxStreams || ofPeer >= maxStreamsPerPeer) return stream.abort()
    const take = (value: unknown): Promise<MessageAnswer> => {
      reading.delete(stream)
      const afterMs = Math.max(peers.take(remotePeer), addresses.take(remoteAddress))
      return afterMs > 0 ? Promise.resolve(refusal(fault.too_often({ afterMs }))) : answerTo(desk, remotePeer, value)
    }
    reading.add(stream)
    const done = converse({ clock, log }, stream, requestMs, take)
      .catch((error: unknown) => log.info('reach.message.dropped', { peer: remotePeer, problem: asFault(error).message }))
      .finally(() => {
        stream.abort()
        reading.delete(stream)
        streams.delete(stream)
      })
    streams.set(stream, done)
  })
  return {
    desk,
    async close() {
      isClosed = true
      for (const stream of reading) stream.abort()
      await Promise.all(streams.values())
      await desk.close()
    },
  }
}

async function converse(
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  stream: PeerStream,
  requestMs: number,
  take: (value: unknown) => Promise<MessageAnswer>,
): Promise<void> {
  let cancel = clock.after(requestMs, () => stream.abort())
  try {
    const requests = readJson(stream.duplex, maxRequestBytes)
    const { done, value } = await requests.next()
    if (done) return
    cancel()
    const answer = await take(value)
    if ('refused' in answer) log.info('reach.message.refused', { peer: stream.remotePeer, ...answer.refused })
    cancel = clock.after(farewellMs, () => stream.abort())
    await writeJson(stream.duplex, answerValue(answer))
    stream.duplex.end()
    await requests.next().catch(() => {}) // the sender ends the stream when it has the answer
  } finally {
    cancel()
  }
}

async function answerTo(desk: MessageDesk, peer: string, value: unknown): Promise<MessageAnswer> {
  try {
    return { receipt: await desk.take(peer, readRequest(value)) }
  } catch (error) {
    return refusal(error)
  }
}

/** A defect of ours is nobody else's business: only its kind leaves. */
function refusal(error: unknown): MessageAnswer {
  const { code, kind, message } = asFault(error)
  const isOurs = outside[kind].httpStatus >= 500
  return { refused: { code, kind, message: isOurs ? 'it cannot take messages now' : message } }
}
