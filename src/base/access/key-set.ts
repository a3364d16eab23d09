// The public keys of one issuer of tokens: fetched when they are needed, within bounds of size, time and number, and never trusted for long unseen.
import type { JSONWebKeySet, LocalJWKSet } from 'jose'
import { type Clock, deadline } from '../../kernel/clock.ts'
import { faults, reasonOf } from '../../kernel/fault.ts'
import { readText, statOf } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import type { HttpClient } from '../http/client.ts'

const fault = faults('access', {
  no_keys: (d: { name: string; reason: string }) => ({
    kind: 'unavailable',
    message: `the keys of ${d.name} cannot be had: ${d.reason}`,
    hint: 'see whether the address or file of its keys can be read from this machine',
  }),
})

/** Keys are looked at again after this long, and trusted for at most so long when they cannot be had again. */
const freshMs = 5 * 60_000
const maxAgeMs = 60 * 60_000
/** Attempts: so many at once, then one in each such time. Tokens that name unknown keys cost the issuer no more than that. */
const maxAttempts = 5
const attemptEveryMs = 5_000
/** One attempt takes no longer, and so many callers may wait for it. */
const attemptMs = 5_000
const maxWaiting = 256
const maxBytes = 256 << 10
const maxKeys = 100

/** Reads a JSON Web Key Set (RFC 7517 §5), at most `maxBytes` of it; rejects with the reason in words. */
export type KeySource = (signal: AbortSignal) => Promise<string>

/** Keys behind a URL. Redirects are not followed: where keys come from is what the configuration says. */
export function keysAt(client: HttpClient, url: URL): KeySource {
  return async (signal) => {
    const response = await client.send({ method: 'GET', url, headers: { accept: 'application/json' }, signal })
    const chunks: Buffer[] = []
    let sizeBytes = 0
    try {
      if (response.statusCode !== 200) throw new Error(`the answer is ${response.statusCode}`)
      for await (const chunk of response as AsyncIterable<Buffer>) {
        if ((sizeBytes += chunk.length) > maxBytes) throw new Error(`there are more than ${maxBytes} bytes`)
        chunks.push(chunk)
      }
    } finally {
      response.destroy()
    }
    return Buffer.concat(chunks).toString('utf8')
  }
}

/** Keys in a file of this machine. */
export function keysIn(path: string): KeySource {
  return async () => {
    if ((statOf(path)?.size ?? 0) > maxBytes) throw new Error(`there are more than ${maxBytes} bytes`)
    const text = readText(path)
    if (text === undefined) throw new Error(`there is no file ${path}`)
    return text
  }
}

export class KeySet {
  readonly #clock: Clock
  readonly #log: Log
  readonly #source: KeySource
  /** Whose keys they are. */
  readonly name: string
  #problem: string | undefined
  #held: { readonly keys: LocalJWKSet; readonly text: string; atMs: number } | undefined
  #attempt: Promise<LocalJWKSet> | undefined
  #waiting = 0
  #attempts = maxAttempts
  #countedAtMs: number

  /** `name`: whose keys they are, for the log and for faults. */
  constructor(needs: { readonly clock: Clock; readonly log: Log; readonly source: KeySource }, name: string) {
    this.#clock = needs.clock
    this.#log = needs.log
    this.#source = needs.source
    this.name = name
    this.#countedAtMs = needs.clock.mono()
  }

  /** The keys that hold now; another object as soon as they are others. */
  get current(): LocalJWKSet | undefined {
    return this.#held?.keys
  }

  /** Why the last attempt failed; undefined: it did not. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Keys that are not too old: at once when there are some. Fault `access.no_keys`, after 5 s at the latest. */
  async get(): Promise<LocalJWKSet> {
    const held = this.#held
    const ageMs = held ? this.#clock.mono() - held.atMs : Number.POSITIVE_INFINITY
    if (!held || ageMs >= maxAgeMs) return this.#renewed()
    if (ageMs >= freshMs && this.#mayTry()) this.#renewed().catch(() => {}) // it is logged; what is held is good for a while
    return held.keys
  }

  /** For a token that names a key which `known` has not: looks again, if that is not done too often. Undefined: there are no others. Fault `access.no_keys`. */
  async newer(known: LocalJWKSet): Promise<LocalJWKSet | undefined> {
    if (this.#held?.keys === known && !this.#attempt && !this.#mayTry()) return undefined
    const keys = this.#held && this.#held.keys !== known ? this.#held.keys : await this.#renewed()
    return keys === known ? undefined : keys
  }

  async #renewed(): Promise<LocalJWKSet> {
    if (this.#waiting >= maxWaiting) throw fault.no_keys({ name: this.name, reason: 'too many callers wait for them' })
    if (!this.#attempt && !this.#mayTry()) throw fault.no_keys({ name: this.name, reason: 'the last attempts failed' })
    this.#waiting++
    try {
      return await (this.#attempt ??= this.#renew().finally(() => (this.#attempt = undefined)))
    } finally {
      this.#waiting--
    }
  }

  async #renew(): Promise<LocalJWKSet> {
    this.#attempts--
    const signal = deadline(this.#clock, attemptMs)
    try {
      const text = await this.#source(signal)
      const { createLocalJWKSet } = await import('jose')
      const keys = text === this.#held?.text ? this.#held.keys : createLocalJWKSet(publicKeys(text))
      if (keys !== this.#held?.keys) this.#log.info('access.keys.renewed', { name: this.name, keys: keys.jwks().keys.length })
      this.#held = { keys, text, atMs: this.#clock.mono() }
      this.#problem = undefined
      return keys
    } catch (error) {
      const reason = signal.aborted ? `no answer within ${attemptMs / 1_000} s` : wordsOf(error)
      const failed = fault.no_keys({ name: this.name, reason })
      this.#problem = reason
      this.#log.warn('access.keys.failed', { name: this.name, reason })
      throw failed
    }
  }

  #mayTry(): boolean {
    const now = this.#clock.mono()
    const earned = Math.floor((now - this.#countedAtMs) / attemptEveryMs)
    if (earned > 0) {
      this.#attempts = Math.min(maxAttempts, this.#attempts + earned)
      this.#countedAtMs += earned * attemptEveryMs
    }
    return this.#attempts > 0
  }
}

/** Never a symmetric key: whoever can read it could sign with it. */
function publicKeys(text: string): JSONWebKeySet {
  const { keys } = JSON.parse(text) as { readonly keys?: unknown }
  if (!Array.isArray(keys)) throw new Error('they are no JSON Web Key Set')
  if (keys.length > maxKeys) throw new Error(`there are more than ${maxKeys} keys`)
  return { keys: (keys as JSONWebKeySet['keys']).filter((key) => ['RSA', 'EC', 'OKP'].includes(String(key?.kty))) }
}

function wordsOf(error: unknown): string {
  return error instanceof SyntaxError ? 'they are no JSON' : reasonOf(error)
}
