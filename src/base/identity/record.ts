// Signed records: COSE_Sign1 messages (RFC 9052) over deterministic CBOR (RFC 8949 §4.2), with a sequence number and an expiry in every body.
import { decode, encode } from 'cborg'
import { faults } from '../../kernel/fault.ts'
import { type Identity, peerIdOf, verify } from './identity.ts'

/** A record is small: a peer card, a grant, a receipt. */
export const maxRecordBytes = 64 << 10
const maxDepth = 16

const fault = faults('record', {
  malformed: (d: { problem: string }) => ({ kind: 'usage', message: `not a signed record: ${d.problem}` }),
  bad_signature: (d: { signer: string; context: string }) => ({
    kind: 'denied',
    message: `the signature of ${d.signer} does not fit this record as a ${d.context}`,
    hint: 'it was changed on its way, or signed for another purpose',
  }),
  expired: (d: { signer: string; lateMs: number }) => ({
    kind: 'denied',
    message: `the record of ${d.signer} ended ${d.lateMs} ms ago`,
    hint: 'ask its owner for a fresh one, and compare both clocks',
  }),
  too_large: (d: { sizeBytes: number }) => ({
    kind: 'limited',
    message: `a record of ${d.sizeBytes} bytes: the limit is ${maxRecordBytes}`,
  }),
})

/** A body may say anything that CBOR can; these two it must say. */
export type RecordBody = {
  /** Grows with every record that replaces an earlier one: a whole number from 0. */
  readonly sequence: number
  /** Wall time in milliseconds since the Unix epoch after which the record is void. */
  readonly expiresAt: number
  readonly [member: string]: unknown
}

/** An opened record: what was said, and who proved to have said it. */
export type OpenRecord<Body extends RecordBody = RecordBody> = { readonly signer: string; readonly body: Body }

const eddsa = -8 // IANA COSE algorithms
const algorithmLabel = 1
const keyIdLabel = 4
const sign1Tag = 18
const headerOf = (publicKey: Uint8Array): Uint8Array =>
  encode(
    new Map<number, unknown>([
      [algorithmLabel, eddsa],
      [keyIdLabel, publicKey],
    ]),
  )

/** RFC 9052 §4.4: what is really signed. The context is the external data, so that a record is worth nothing for another purpose. */
function toBeSigned(context: string, header: Uint8Array, payload: Uint8Array): Uint8Array {
  return encode(['Signature1', header, Buffer.from(context, 'utf8'), payload])
}

/**
 * Signs `body` for the purpose `context` (`fairlead/peer-card/1`). The signer's public key travels in the protected header.
 * Faults: `record.malformed` for a body without its two members, `record.too_large`.
 */
export async function signRecord(identity: Identity, context: string, body: RecordBody): Promise<Uint8Array> {
  const problem = problemOf(body)
  if (problem) throw fault.malformed({ problem })
  const header = headerOf(identity.publicKey)
  const payload = encode(body, { ignoreUndefinedProperties: true })
  const signature = await identity.sign(toBeSigned(context, header, payload))
  const record = Buffer.concat([Buffer.from([0xc0 | sign1Tag]), encode([header, new Map(), payload, signature])])
  if (record.length > maxRecordBytes) throw fault.too_large({ sizeBytes: record.length })
  return record
}

/**
 * Opens a record that was signed for `context`, at wall time `now` (ms). The members beyond `sequence` and `expiresAt` are as the signer
 * wrote them: check them before use. Faults: `record.malformed`, `record.bad_signature`, `record.expired`, `record.too_large`.
 */
export function openRecord(context: string, bytes: Uint8Array, now: number): OpenRecord {
  if (bytes.length > maxRecordBytes) throw fault.too_large({ sizeBytes: bytes.length })
  if (bytes[0] !== (0xc0 | sign1Tag)) throw fault.malformed({ problem: 'it does not begin as a COSE_Sign1 message' })
  const message = read(bytes.subarray(1), true)
  if (!Array.isArray(message) || message.length !== 4) throw fault.malformed({ problem: 'the message has not four parts' })
  const [header, loose, payload, signature] = message as unknown[]
  if (!(header instanceof Uint8Array) || !(payload instanceof Uint8Array) || !(signature instanceof Uint8Array))
    throw fault.malformed({ problem: 'a part is no byte string' })
  if (!(loose instanceof Map) || loose.size > 0) throw fault.malformed({ problem: 'an unprotected header' })
  const publicKey = signerOf(header)
  const signer = peerIdOf(publicKey)
  if (!verify(publicKey, toBeSigned(context, header, payload), signature)) throw fault.bad_signature({ signer, context })
  const body = read(payload, false)
  const problem = problemOf(body) ?? (isSame(encode(body), payload) ? undefined : 'the body is not in deterministic CBOR')
  if (problem) throw fault.malformed({ problem })
  const { expiresAt } = body as RecordBody
  if (expiresAt <= now) throw fault.expired({ signer, lateMs: Math.round(now - expiresAt) })
  return { signer, body: body as RecordBody }
}

/** One way to write a body, so that it cannot be read in two: the decoder lets text pass that is not UTF-8, and members in any order. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

function signerOf(header: Uint8Array): Uint8Array {
  const members = read(header, true)
  if (!(members instanceof Map) || members.size !== 2) throw fault.malformed({ problem: 'the protected header is not {algorithm, key}' })
  const key = members.get(keyIdLabel) as unknown
  if (members.get(algorithmLabel) !== eddsa || !(key instanceof Uint8Array) || key.length !== 32)
    throw fault.malformed({ problem: 'the protected header names no Ed25519 key' })
  return key
}

function problemOf(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || Array.isArray(body) || body instanceof Uint8Array) return 'the body is no map'
  const { sequence, expiresAt } = body as Partial<RecordBody>
  if (!Number.isSafeInteger(sequence) || (sequence as number) < 0) return '"sequence" is no whole number'
  if (typeof expiresAt !== 'number' || !Number.isFinite(expiresAt)) return '"expiresAt" is no time'
  return undefined
}

function read(bytes: Uint8Array, useMaps: boolean): unknown {
  try {
    const value: unknown = decode(bytes, {
      strict: true,
      allowIndefinite: false,
      allowUndefined: false,
      allowNaN: false,
      allowInfinity: false,
      rejectDuplicateMapKeys: true,
      useMaps,
    })
    if (isDeeper(value, maxDepth)) throw new Error(`nested deeper than ${maxDepth}`)
    return value
  } catch (error) {
    throw fault.malformed({ problem: error instanceof Error ? error.message : 'unreadable CBOR' }, error)
  }
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false
  if (levels === 0) return true
  const inner = value instanceof Map ? value.values() : Object.values(value)
  for (const item of inner) if (isDeeper(item, levels - 1)) return true
  return false
}
