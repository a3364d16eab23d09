// What members of a group and their host say to each other on a stream: a JSON head and bytes, each with its length in front.
import type { Duplex } from 'node:stream'
import { maxSealedBytes } from '../entry/entry.ts'
import type { Offer, Outcome } from './board.ts'

/** `forget` without subjects: all. */
export type Message =
  | { readonly is: 'hello'; readonly nonce: string }
  | { readonly is: 'proof'; readonly nonce: string; readonly proof: string }
  | { readonly is: 'refused'; readonly why: string }
  | { readonly is: 'want'; readonly id: number; readonly key: string }
  | { readonly is: 'offer'; readonly id: number; readonly offer: Exclude<Offer, 'look'> }
  /** With the entry. */
  | { readonly is: 'entry'; readonly id: number }
  /** With the entry, if one is kept. */
  | { readonly is: 'done'; readonly key: string; readonly subject: string; readonly outcome: Outcome }
  | { readonly is: 'forget'; readonly subjects?: readonly string[] }

/** The bytes are of their own: who keeps them keeps nothing else in memory. */
export type Received = { readonly message: Message; readonly bytes: Uint8Array }

/** What is no message; nothing more is read of such a stream. */
export class BadMessage extends Error {}

type Check = (value: unknown) => boolean
const isName: Check = (value) => typeof value === 'string' && /^[\w-]{1,64}$/.test(value)
const isText: Check = (value) => typeof value === 'string' && value.length <= 200
const isId: Check = Number.isSafeInteger
const isOne =
  (...words: readonly string[]): Check =>
  (value) =>
    words.includes(value as string)
const areNames: Check = (value) => value === undefined || (Array.isArray(value) && value.every(isName))

const shapes: { readonly [Kind in Message['is']]: Readonly<Record<string, Check>> } = {
  hello: { nonce: isName },
  proof: { nonce: isName, proof: isName },
  refused: { why: isText },
  want: { id: isId, key: isName },
  offer: { id: isId, offer: isOne('lease', 'alone') },
  entry: { id: isId },
  done: { key: isName, subject: isName, outcome: isOne('kept', 'failed', 'forOne') },
  forget: { subjects: areNames },
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

function messageIn(text: string): Message {
  let value: Readonly<Record<string, unknown>> | null | undefined
  try {
    value = JSON.parse(text) as typeof value
  } catch {
    // told below
  }
  const shape = Object.hasOwn(shapes, String(value?.['is'])) ? shapes[value!['is'] as Message['is']] : undefined
  if (!shape || !Object.entries(shape).every(([name, isRight]) => isRight(value![name]))) throw new BadMessage('what is no message')
  return value as Message
}
