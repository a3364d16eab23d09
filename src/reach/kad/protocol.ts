// What is said on `/fairlead/kad/1`, the distributed hash table of peers: one stream, one question, "whom do you know near this peer?", one answer of signed cards.
import type { Clock } from '../../kernel/clock.ts'
import { deadline } from '../../kernel/clock.ts'
import { isPeerId } from '../../base/identity/identity.ts'
import type { PeerHost } from '../../base/peer/host/host.ts'
import { fault } from '../faults.ts'
import { readJson, writeJson } from '../json-frames.ts'
import type { KadAsk } from './lookup.ts'
import { type SignedCard, bucketSize } from './table.ts'
import { maxCardBytes, openCard } from '../node/peer-card.ts'

export const kadProtocol = '/fairlead/kad/1'
const maxCardLength = Math.ceil((maxCardBytes * 4) / 3)
export const maxKadRequestBytes = maxCardLength + 256
/** Those who are near, and who answers. */
const maxCards = bucketSize + 1
export const maxKadAnswerBytes = maxCards * (maxCardLength + 8)
const answerMs = 4_000

/** With `card` the asker takes part: it may be told to others. */
export type KadRequest = { readonly find: string; readonly card?: Uint8Array }

/** Reads a question from outside; fault `reach.request_invalid`. */
export function readKadRequest(value: unknown): KadRequest {
  const { find, card } = isObject(value) ? value : {}
  if (typeof find !== 'string' || !isPeerId(find)) throw fault.request_invalid({ problem: '"find" is no peer id' })
  if (card === undefined) return { find }
  if (typeof card !== 'string' || card.length > maxCardLength) throw fault.request_invalid({ problem: '"card" is no card' })
  return { find, card: Buffer.from(card, 'base64url') }
}

/** The question as it is sent. */
export function kadRequestValue({ find, card }: KadRequest): unknown {
  return { find, ...(card ? { card: Buffer.from(card).toString('base64url') } : {}) }
}

/** The cards of an answer from outside that hold at wall time `now`; none when it is no answer. */
export function readKadAnswer(value: unknown, now: number): readonly SignedCard[] {
  const { cards } = isObject(value) ? value : {}
  return (Array.isArray(cards) ? cards.slice(0, maxCards) : []).flatMap((card) => {
    try {
      return typeof card === 'string' ? [openSigned(Buffer.from(card, 'base64url'), now)] : []
    } catch {
      return []
    }
  })
}

/** Opens a card and keeps its bytes; faults of `openCard`. */
export function openSigned(signed: Uint8Array, now: number): SignedCard {
  return { ...openCard(signed, now), signed }
}

/** An answer as it is sent. */
export function kadAnswerValue(cards: readonly Uint8Array[]): unknown {
  return { cards: cards.slice(0, maxCards).map((card) => Buffer.from(card).toString('base64url')) }
}

export type KadAskNeeds = {
  readonly host: Pick<PeerHost, 'dial'>
  readonly clock: Clock
  /** Ours, if we take part. */
  readonly card?: () => Promise<Uint8Array | undefined>
  /** Told of who answered, with its own card if it gave that. */
  readonly met?: (peerId: string, card: SignedCard | undefined) => void
}

/** Asks over the host, each contact for at most 4 s. */
export function kadAsk({ host, clock, card, met }: KadAskNeeds): KadAsk {
  return async ({ peerId, addresses }, target, signal) => {
    const stream = await host.dial(peerId, addresses, kadProtocol, deadline(clock, answerMs, signal))
    const cancel = clock.after(answerMs, () => stream.abort())
    try {
      const own = await card?.()
      await writeJson(stream.duplex, kadRequestValue({ find: target, ...(own ? { card: own } : {}) }))
      const { value } = await readJson(stream.duplex, maxKadAnswerBytes).next()
      const cards = readKadAnswer(value, clock.now())
      met?.(
        stream.remotePeer,
        cards.find((each) => each.peerId === stream.remotePeer),
      )
      return cards
    } finally {
      cancel()
      void stream.close().then(() => stream.abort('idle'))
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
