// What members of a group and their host say to each other on a stream: a JSON head and bytes, each with its length in front.
import type { Duplex } from 'node:stream'
import { maxSealedBytes } from '../entry/entry.ts'
import type { Offer, Outcome } from './board.ts'

/** `forget` without subjects: all. */
export type Message =
  | { readonly is: 'hello'; readonly nonce: string }
  /** In the place of `hello`: it has a host itself, to which one should go as well. */
  | { readonly is: 'busy' }
  /** Of a member that waits; answered by `pong`, at once. */
  | { readonly is: 'ping' | 'pong' }
  | { readonly is: 'proof'; readonly nonce: string; readonly proof: string }
  | { readonly is: 'refused'; readonly why: string }
  | { readonly is: 'want'; readonly id: number; readonly key: string }
  | { readonly is: 'offer'; readonly id: number; readonly offer: Exclude<Offer, 'look'> }
  /** With the entry: the answer to `want`, or to `have`. */
  | { readonly is: 'entry'; readonly id: number }
  /** Of a deputy: whether it has kept that; answered by `entry` or `none`. */
  | { readonly is: 'have'; readonly id: number; readonly key: string }
  | { readonly is: 'none'; readonly id: number }
  /** With the entry, if one is kept. */
  | { readonly is: 'done'; readonly key: string; readonly subject: string; readonly outcome: Outcome }
  | { readonly is: 'forget'; readonly subjects?: readonly string[] }
  /** With the API's answer, sealed as an entry. */
  | { readonly is: 'hold'; readonly budget: string }
  /** Of a member that came from another host: it is asking the API for it already. */
  | { readonly is: 'claim'; readonly key: string }
  /** Of a member: others may come to it at this port of its address. */
  | { readonly is: 'listens'; readonly port: number }
  /** Of a member: what it has counted. */
  | { readonly is: 'counts'; readonly counts: Readonly<Record<string, number>> }
  /** Of a host: where to go when it is gone, in this order. */
  | { readonly is: 'others'; readonly addresses: readonly string[] }
  /** Of a host, first: its time, and its scope, hidden. */
  | { readonly is: 'about'; readonly atMs: number; readonly scope: string }

/** The bytes are of their own: who keeps them keeps nothing else in memory. */
export type Received = { readonly message: Message; readonly bytes: Uint8Array }

/** Nothing more is read of such a stream. */
export class BadMessage extends Error {}

type Check = (value: unknown) => boolean

const maxWordLength = 256
const maxListLength = 64
const isWord: Check = (value) => typeof value === 'string' && value.length <= maxWordLength
const isNumber: Check = (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
const isOneOf =
  (...words: readonly string[]): Check =>
  (value) =>
    words.includes(value as string)
const isList: Check = (value) => Array.isArray(value) && value.length <= maxListLength && value.every((each) => typeof each === 'string')
const isCounts: Check = (value) =>
  typeof value === 'object' && value !== null && Object.keys(value).length <= maxListLength && Object.values(value).every(isNumber)

/** What each message has to hold: checked by hand, for one comes with every miss. */
const shapes: {
  readonly [Name in Message['is']]: { readonly [Key in string & Exclude<keyof Extract<Message, { is: Name }>, 'is'>]-?: Check }
} = {
  hello: { nonce: isWord },
  busy: {},
  ping: {},
  pong: {},
  proof: { nonce: isWord, proof: isWord },
  refused: { why: isWord },
  want: { id: isNumber, key: isWord },
  offer: { id: isNumber, offer: isOneOf('lease', 'alone') },
  entry: { id: isNumber },
  have: { id: isNumber, key: isWord },
  none: { id: isNumber },
  done: { key: isWord, subject: isWord, outcome: isOneOf('kept', 'failed', 'forOne') },
  forget: { subjects: (value) => value === undefined || isList(value) },
  hold: { budget: isWord },
  claim: { key: isWord },
  listens: { port: (value) => isNumber(value) && Number(value) >= 1 && Number(value) <= 65_535 },
  counts: { counts: isCounts },
  others: { addresses: isList },
  about: { atMs: isNumber, scope: isWord },
}

function jsonIn(text: string): Readonly<Record<string, unknown>> | null | undefined {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>> | null
  } catch {
    return undefined
  }
}

function messageIn(text: string): Message {
  const said = jsonIn(text)
  const is = said?.['is']
  const shape = typeof is === 'string' && Object.hasOwn(shapes, is) ? Object.entries(shapes[is as Message['is']]) : undefined
  if (!shape?.every(([name, check]) => check(said![name]))) throw new BadMessage('a message that is none of ours')
  return said as Message
}

const maxHeadBytes = 16 << 10
const lengthsBytes = 8

export function encode(message: Message, bytes: Uint8Array = new Uint8Array()): Uint8Array {
  const head = Buffer.from(JSON.stringify(message))
  const lengths = Buffer.alloc(lengthsBytes)
  lengths.writeUInt32BE(head.length, 0)
  lengths.writeUInt32BE(bytes.length, 4)
  return Buffer.concat([lengths, head, bytes])
}

/** Each message as it comes; ends with the stream. Throws `BadMessage`. */
export async function* messagesIn(stream: Duplex): AsyncGenerator<Received> {
  let parts: Buffer[] = []
  let sizeBytes = 0
  let needsBytes = lengthsBytes
  for await (const part of stream as AsyncIterable<Buffer>) {
    parts.push(part)
    sizeBytes += part.length
    if (sizeBytes < needsBytes) continue
    let rest = Buffer.concat(parts)
    for (;;) {
      needsBytes = lengthsBytes
      if (rest.length < needsBytes) break
      const [head, body] = [rest.readUInt32BE(0), rest.readUInt32BE(4)]
      if (head > maxHeadBytes || body > maxSealedBytes) throw new BadMessage('a message that is too long')
      needsBytes += head + body
      if (rest.length < needsBytes) break
      const message = messageIn(rest.toString('utf8', lengthsBytes, lengthsBytes + head))
      yield { message, bytes: new Uint8Array(rest.subarray(lengthsBytes + head, needsBytes)) }
      rest = rest.subarray(needsBytes)
    }
    parts = [rest]
    sizeBytes = rest.length
  }
}
