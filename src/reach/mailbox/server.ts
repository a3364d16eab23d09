// The registry's side of `/fairlead/mailbox/1`: takes sealed items within bounds, and hands those of a peer to nobody but the one that proved to be it.
import { asFault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { PeerHost, PeerStream } from '../../base/peer/host/host.ts'
import { fault } from '../faults.ts'
import {
  type MailboxAnswer,
  type MailboxRequest,
  answerValue,
  mailboxProtocol,
  maxItems,
  maxRequestBytes,
  readRequest,
} from './protocol.ts'
import type { Mailboxes } from './mailboxes.ts'
import { type Rate, rateLimit } from '../../base/access/rate.ts'
import { answerEach, refusalOf } from '../request-loop.ts'

export type MailboxServerNeeds = {
  readonly host: PeerHost
  readonly mailboxes: Mailboxes
  /** Rejects for a key that was rotated or revoked: nobody would look for what is left for it. */
  readonly mustSpeak: (peerId: string) => Promise<void>
  readonly clock: Clock
  readonly log: Log
}

export type MailboxServerSettings = {
  /** Items left by one peer: 60 at once and one in 5 s by default. */
  readonly perSender?: Rate
  /** Items left from one IP address: 300 at once and 2 a second by default. */
  readonly perSenderAddress?: Rate
  /** All else, of one peer: 60 at once and 2 a second by default. */
  readonly perOwner?: Rate
  /** All else, from one IP address: 600 at once and 50 a second by default. */
  readonly perOwnerAddress?: Rate
  /** A stream on which nothing was asked for so long is dropped: 60 s by default. */
  readonly idleMs?: number
}

/** Streams that are open at once: one waits for each peer that is there. */
const maxStreams = 4_000
const maxStreamsPerPeer = 8

type Desk = MailboxServerNeeds & {
  /** Milliseconds to wait before this request, 0 when it may be carried out. */
  readonly afterMs: (request: MailboxRequest, stream: PeerStream) => number
  /** Those who wait for an item, by owner. */
  readonly waiting: Map<string, Set<() => void>>
}

/** Answers on the host until that is closed. */
export function serveMailboxes(needs: MailboxServerNeeds, settings: MailboxServerSettings = {}): void {
  const { host, clock, log } = needs
  const { idleMs = 60_000 } = settings
  const desk: Desk = { ...needs, afterMs: limitsOf(clock, settings), waiting: new Map() }
  const streams = new Map<string, number>()
  let count = 0
  host.handle(mailboxProtocol, (stream) => {
    const from = stream.remotePeer
    const ofPeer = streams.get(from) ?? 0
    if (count >= maxStreams || ofPeer >= maxStreamsPerPeer) return stream.abort()
    count++
    streams.set(from, ofPeer + 1)
    void answerEach(stream, clock, { maxRequestBytes, idleMs }, async (value) => answerValue(await answerTo(desk, stream, value)))
      .catch((error: unknown) => {
        log.debug('reach.mailbox.dropped', { problem: asFault(error).message })
        stream.abort()
      })
      .finally(() => {
        count--
        const left = streams.get(from)! - 1
        if (left > 0) streams.set(from, left)
        else streams.delete(from)
      })
  })
}

function limitsOf(clock: Clock, settings: MailboxServerSettings): Desk['afterMs'] {
  const senders = rateLimit(clock, settings.perSender ?? { burst: 60, perSecond: 0.2 })
  const senderAddresses = rateLimit(clock, settings.perSenderAddress ?? { burst: 300, perSecond: 2 })
  const owners = rateLimit(clock, settings.perOwner ?? { burst: 60, perSecond: 2 })
  const ownerAddresses = rateLimit(clock, settings.perOwnerAddress ?? { burst: 600, perSecond: 50 })
  return ({ do: what }, { remotePeer, remoteAddress }) =>
    what === 'leave'
      ? Math.max(senders.take(remotePeer), senderAddresses.take(remoteAddress))
      : Math.max(owners.take(remotePeer), ownerAddresses.take(remoteAddress))
}

/** A refusal is logged without names: a line that held both would tell who wrote to whom. */
async function answerTo(desk: Desk, stream: PeerStream, value: unknown): Promise<MailboxAnswer> {
  try {
    const request = readRequest(value)
    const afterMs = desk.afterMs(request, stream)
    if (afterMs > 0) throw fault.too_often({ afterMs })
    return { ok: { now: desk.clock.now(), ...(await carryOut(desk, stream, request)) } }
  } catch (error) {
    const { code, message } = asFault(error)
    desk.log.info('reach.mailbox.refused', { code, ...(code.startsWith('reach.') ? {} : { message }) })
    return refusalOf(error)
  }
}

async function carryOut(
  desk: Desk,
  stream: PeerStream,
  request: MailboxRequest,
): Promise<{ readonly items: Uint8Array[]; readonly expiresAt?: number }> {
  const { mailboxes, waiting, mustSpeak } = desk
  if (request.do === 'leave') {
    await mustSpeak(request.to)
    const expiresAt = mailboxes.leave(request.to, request.item)
    for (const wake of waiting.get(request.to) ?? []) wake()
    return { items: [], expiresAt }
  }
  const owner = stream.remotePeer
  if (request.do === 'remove') {
    mailboxes.remove(owner, request.ids)
    return { items: [] }
  }
  mailboxes.open(owner)
  const items = mailboxes.oldest(owner, maxItems)
  if (items.length > 0 || request.waitMs === 0) return { items }
  await arrival(desk, stream, request.waitMs)
  return { items: mailboxes.oldest(owner, maxItems) }
}

/** Resolves when something was left for the owner at the other end, when the time is over, or when that end is gone. */
async function arrival({ clock, waiting }: Desk, { remotePeer: owner, duplex }: PeerStream, waitMs: number): Promise<void> {
  const those = waiting.get(owner) ?? new Set()
  waiting.set(owner, those)
  await new Promise<void>((resolve) => {
    const done = (): void => {
      cancel()
      duplex.off('close', done)
      those.delete(done)
      if (those.size === 0) waiting.delete(owner)
      resolve()
    }
    const cancel = clock.after(waitMs, done)
    duplex.once('close', done)
    those.add(done)
    if (duplex.destroyed) done()
  })
}
