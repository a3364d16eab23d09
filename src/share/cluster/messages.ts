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

export type Received = { readonly message: Message; readonly bytes: Uint8Array }

const maxHeadBytes = 16 << 10
const lengthsBytes = 8

export function encode(message: Message, bytes: Uint8Array = new Uint8Array()): Uint8Array {
  const head = Buffer.from(JSON.stringify(message))
  const lengths = Buffer.alloc(lengthsBytes)
  lengths.writeUInt32BE(head.length, 0)
  lengths.writeUInt32BE(bytes.length, 4)
  return Buffer.concat([lengths, head, bytes])
}

/** Each message as it comes. Throws for what is none, or too long; ends with the stream. */
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
      if (head > maxHeadBytes || body > maxSealedBytes) throw new Error('a message that is too long')
      needsBytes += head + body
      if (rest.length < needsBytes) break
      const message = JSON.parse(rest.toString('utf8', lengthsBytes, lengthsBytes + head)) as Message
      yield { message, bytes: rest.subarray(lengthsBytes + head, needsBytes) }
      rest = rest.subarray(needsBytes)
    }
    parts = [rest]
    sizeBytes = rest.length
  }
}
