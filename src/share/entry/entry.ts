// One answer as it is kept and sent: sealed for the group, signed by who got it from the API, bounded; anything else is refused with a reason.
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { type Identity, publicKeyOf, verify } from '../../base/identity/identity.ts'
import { randomBytes } from '../../kernel/random.ts'
import { maxTtlMs } from '../request/freshness.ts'
import { hopByHop } from '../request/request.ts'
import type { Group } from './group.ts'

/** Names as they came, in their order, for an answer from the cache is to be the one of the API. */
export type Answer = { readonly status: number; readonly headers: readonly (readonly [string, string])[]; readonly body: Uint8Array }

export type Entry = {
  readonly key: string
  /** When the API said so, in milliseconds since the Unix epoch. */
  readonly atMs: number
  readonly ttlMs: number
  /** Whose credential its ETag belongs to (GitHub's differ by token), hidden. */
  readonly asker: string
  readonly answer: Answer
}

/** Who got it from the API: the peer id of its signature. */
export type Opened = { readonly is: 'entry'; readonly entry: Entry; readonly origin: string }
export type Refusal =
  | 'too large'
  | 'malformed'
  | 'sealed for another group'
  | 'of another key'
  | 'from the future'
  | 'not signed by its origin'
  | 'changed'
export type Refused = { readonly is: 'refused'; readonly why: Refusal }

export const maxBodyBytes = 4 << 20
const maxHeadBytes = 1 << 10
const maxMetaBytes = 64 << 10
export const maxSealedBytes = maxBodyBytes + maxMetaBytes + maxHeadBytes
/** Clocks differ; what is later than that is a lie. */
const maxAheadMs = 60_000
const nonceBytes = 12
const tagBytes = 16
const signatureBytes = 64

type Head = {
  readonly v: 1
  readonly group: string
  readonly key: string
  readonly at: number
  readonly ttl: number
  readonly origin: string
  readonly nonce: string
}

/** `head LF ciphertext signature`: the head is bound by the seal, and all before it by the signature. */
export async function seal(entry: Entry, group: Group, identity: Identity): Promise<Uint8Array> {
  const { key, atMs, ttlMs, asker, answer } = entry
  const nonce = randomBytes(nonceBytes)
  const head: Head = {
    v: 1,
    group: group.keyId,
    key,
    at: Math.floor(atMs),
    ttl: Math.min(Math.max(Math.floor(ttlMs), 0), maxTtlMs),
    origin: identity.peerId,
    nonce: Buffer.from(nonce).toString('base64url'),
  }
  const headBytes = Buffer.from(`${JSON.stringify(head)}\n`)
  const cipher = createCipheriv('aes-256-gcm', group.sealKey, nonce).setAAD(headBytes)
  const meta = Buffer.from(`${JSON.stringify({ asker, status: answer.status, headers: answer.headers })}\n`)
  const sealed = Buffer.concat([headBytes, cipher.update(meta), cipher.update(answer.body), cipher.final(), cipher.getAuthTag()])
  return new Uint8Array(Buffer.concat([sealed, await identity.sign(sealed)])) // of their own: Buffer cuts small ones out of a large one
}

const keptStatuses: readonly number[] = [200]

/** The entry for `key` in these bytes, from wherever they came. Time from the future is now, or refused; never throws. `statuses`: of the answers that are meant. */
export function open(bytes: Uint8Array, key: string, group: Group, nowMs: number, statuses = keptStatuses): Opened | Refused {
  const refused = (why: Refusal): Refused => ({ is: 'refused', why })
  if (bytes.length > maxSealedBytes) return refused('too large')
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const end = all.subarray(0, maxHeadBytes).indexOf(0x0a) + 1
  const sealed = all.subarray(0, -signatureBytes)
  const head = end === 0 || sealed.length < end + tagBytes ? undefined : headIn(all.toString('utf8', 0, end))
  if (!head) return refused('malformed')
  if (head.group !== group.keyId) return refused('sealed for another group')
  if (head.key !== key) return refused('of another key')
  if (head.at > nowMs + maxAheadMs) return refused('from the future')
  if (!isSigned(head.origin, sealed, all.subarray(-signatureBytes))) return refused('not signed by its origin')
  const plain = unsealed(sealed.subarray(end), all.subarray(0, end), Buffer.from(head.nonce, 'base64url'), group)
  if (!plain) return refused('changed')
  const told = toldIn(plain, statuses)
  if (!told) return refused('malformed')
  return { is: 'entry', origin: head.origin, entry: { key, atMs: Math.min(head.at, nowMs), ttlMs: head.ttl, ...told } }
}

function unsealed(sealed: Buffer, bound: Buffer, nonce: Buffer, { sealKey }: Group): Buffer | undefined {
  try {
    const decipher = createDecipheriv('aes-256-gcm', sealKey, nonce).setAAD(bound).setAuthTag(sealed.subarray(-tagBytes))
    return Buffer.concat([decipher.update(sealed.subarray(0, -tagBytes)), decipher.final()])
  } catch {
    return undefined
  }
}

const headerName = /^[\w!#$%&'*+.^`|~-]{1,256}$/
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/

/** What a member may send is what a cache keeps (`ttlOf`), and a server can say: a member that lies must not be able to break an answer. */
function toldIn(plain: Buffer, statuses: readonly number[]): Pick<Entry, 'asker' | 'answer'> | undefined {
  const end = plain.subarray(0, maxMetaBytes).indexOf(0x0a)
  const body = plain.subarray(end + 1)
  if (end < 0 || body.length > maxBodyBytes) return undefined
  try {
    const { asker, status, headers } = JSON.parse(plain.toString('utf8', 0, end)) as { readonly [Name in string]?: unknown }
    const areHeaders = Array.isArray(headers) && headers.every(isHeader)
    const isSaid = typeof status === 'number' && statuses.includes(status)
    return typeof asker === 'string' && isSaid && areHeaders ? { asker, answer: { status, headers, body } } : undefined
  } catch {
    return undefined
  }
}

function isHeader(given: unknown): given is readonly [string, string] {
  if (!Array.isArray(given) || given.length !== 2) return false
  const [name, value] = given as unknown[]
  if (typeof name !== 'string' || typeof value !== 'string') return false
  return headerName.test(name) && headerValue.test(value) && !hopByHop.test(name.toLowerCase()) && name.toLowerCase() !== 'set-cookie'
}

function headIn(text: string): Head | undefined {
  try {
    const { v, group, key, at, ttl, origin, nonce } = JSON.parse(text) as { readonly [Name in keyof Head]?: unknown }
    const areNumbers =
      Number.isSafeInteger(at) && Number.isSafeInteger(ttl) && Number(at) >= 0 && Number(ttl) >= 0 && Number(ttl) <= maxTtlMs
    const areTexts = [group, key, origin, nonce].every((value) => typeof value === 'string')
    return v === 1 && areNumbers && areTexts ? ({ v, group, key, at, ttl, origin, nonce } as Head) : undefined
  } catch {
    return undefined
  }
}

function isSigned(origin: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(publicKeyOf(origin), bytes, signature)
  } catch {
    return false
  }
}

/** Whether it still holds. */
export function isFresh({ atMs, ttlMs }: Pick<Entry, 'atMs' | 'ttlMs'>, nowMs: number): boolean {
  return nowMs < atMs + ttlMs
}

/** Of a header that stands there once; names in any case. */
export function headerOf({ headers }: Pick<Answer, 'headers'>, name: string): string | undefined {
  return headers.find(([given]) => given.toLowerCase() === name)?.[1]
}
