// The language-neutral cases of spec/vectors/records: each record, card, request and frame is judged as spec/records.md says.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { createIdentity, isPeerId, peerIdOf, publicKeyOf } from '../../src/base/identity/identity.ts'
import { maxRecordBytes, openRecord, signRecord } from '../../src/base/identity/record.ts'
import { asFault } from '../../src/kernel/fault.ts'
import { readJson } from '../../src/reach/json-frames.ts'
import { openCard } from '../../src/reach/node/peer-card.ts'
import { readRequest } from '../../src/reach/registry/protocol.ts'

type Outcome = 'opened' | 'too large' | 'malformed' | 'bad signature' | 'expired'
type Expected = {
  readonly keys: readonly { readonly seed: string; readonly publicKey: string; readonly peerId: string }[]
  readonly peerIds: readonly { readonly text: string; readonly publicKey?: string }[]
  readonly signed: { readonly protected: string; readonly payload: string; readonly toBeSigned: string }
  readonly records: readonly {
    readonly name: string
    readonly context: string
    readonly now: number
    readonly record: string
    readonly outcome: Outcome
    readonly signer?: string
    readonly body?: { readonly sequence: number; readonly expiresAt: number }
  }[]
  readonly cards: readonly {
    readonly name: string
    readonly now: number
    readonly card: string
    readonly outcome: Outcome
    readonly said?: unknown
  }[]
  readonly requests: readonly {
    readonly name: string
    readonly request: unknown
    readonly outcome: 'accepted' | 'refused'
    readonly limit?: number
  }[]
  readonly frames: {
    readonly maxBytes: number
    readonly cases: readonly {
      readonly name: string
      readonly bytes: string
      readonly values: readonly unknown[]
      readonly outcome: string
    }[]
  }
}

const file = join(import.meta.dirname, '../../spec/vectors/records/expected.json')
const expected = JSON.parse(readFileSync(file, 'utf8')) as Expected
const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex')
const outcomes: Readonly<Record<string, string>> = {
  'record.too_large': 'too large',
  'record.malformed': 'malformed',
  'card.malformed': 'malformed',
  'record.bad_signature': 'bad signature',
  'record.expired': 'expired',
  'frames.too_large': 'too large',
  'frames.not_json': 'not JSON',
  'frames.cut': 'cut',
}

function judged<Value extends object>(open: () => Value): { readonly outcome: string } {
  try {
    return { outcome: 'opened', ...open() }
  } catch (error) {
    return { outcome: outcomes[asFault(error).code] ?? String(error) }
  }
}

test.each(expected.keys)('the peer id $peerId', ({ seed, publicKey, peerId }) => {
  const identity = createIdentity(bytes(seed))
  expect({ publicKey: Buffer.from(identity.publicKey).toString('hex'), peerId: identity.peerId }).toEqual({ publicKey, peerId })
  expect(peerIdOf(bytes(publicKey))).toBe(peerId)
})

test.each(expected.peerIds)('$text', ({ text, publicKey }) => {
  expect(isPeerId(text)).toBe(publicKey !== undefined)
  if (publicKey !== undefined) expect(Buffer.from(publicKeyOf(text)).toString('hex')).toBe(publicKey)
})

describe('records', () => {
  test.each(expected.records)('$name: $outcome', ({ context, now, record, outcome, signer, body }) => {
    expect(judged(() => openRecord(context, bytes(record), now))).toEqual({ outcome, ...(signer === undefined ? {} : { signer, body }) })
  })

  test('what is opened is what we write, byte for byte', async () => {
    const opened = expected.records.filter(({ outcome }) => outcome === 'opened')
    expect(opened.length).toBeGreaterThan(3)
    for (const { context, record, signer, body } of opened) {
      const { seed } = expected.keys.find(({ peerId }) => peerId === signer)!
      expect(Buffer.from(await signRecord(createIdentity(bytes(seed)), context, body!)).toString('hex')).toBe(record)
    }
  })

  test('the bytes that are signed, put together by the prose', async () => {
    const { protected: header, payload, toBeSigned } = expected.signed
    const [key] = expected.keys
    const { context, record } = expected.records[0]!
    const text = Buffer.from(context)
    expect(header).toBe(`a20127045820${key!.publicKey}`)
    const head = (length: number): string => (length < 24 ? (0x40 + length).toString(16) : `58${length.toString(16)}`)
    const signed = [
      '846a',
      Buffer.from('Signature1').toString('hex'),
      head(header.length / 2),
      header,
      head(text.length),
      text.toString('hex'),
    ]
    expect(toBeSigned).toBe([...signed, head(payload.length / 2), payload].join(''))
    const signature = Buffer.from(await createIdentity(bytes(key!.seed)).sign(bytes(toBeSigned))).toString('hex')
    expect(record).toBe(['d284', head(header.length / 2), header, 'a0', head(payload.length / 2), payload, '5840', signature].join(''))
  })

  test('more than 65,536 bytes are too large, whatever they are', () => {
    expect(judged(() => openRecord('fairlead/example/1', new Uint8Array(maxRecordBytes + 1), 0))).toEqual({ outcome: 'too large' })
    expect(maxRecordBytes).toBe(65_536)
  })
})

test.each(expected.cards)('a card: $name: $outcome', ({ now, card, outcome, said }) => {
  expect(judged(() => ({ said: openCard(bytes(card), now) }))).toEqual({ outcome, ...(said === undefined ? {} : { said }) })
})

test.each(expected.requests)('a request: $name: $outcome', ({ request, outcome, limit }) => {
  let read: unknown
  try {
    read = readRequest(request)
  } catch (error) {
    expect(asFault(error).code).toBe('reach.request_invalid')
  }
  expect(read === undefined ? 'refused' : 'accepted').toBe(outcome)
  if (limit !== undefined) expect(read).toMatchObject({ limit })
})

test.each(expected.frames.cases)('frames: $name: $outcome', async ({ bytes: hex, values, outcome }) => {
  const stream = new PassThrough()
  const found: unknown[] = []
  for (const byte of bytes(hex)) stream.write(Buffer.of(byte))
  stream.end()
  let how = 'ended'
  try {
    for await (const value of readJson(stream, expected.frames.maxBytes)) found.push(value)
  } catch (error) {
    how = outcomes[asFault(error).code] ?? String(error)
  }
  expect({ values: found, outcome: how }).toEqual({ values, outcome })
})
