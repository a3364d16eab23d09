// An account at an ACME server (RFC 8555): its key, kept in a file, and requests that are signed with it, each with a nonce of the server's.
import { createHash, createPublicKey, sign } from 'node:crypto'
import { join } from 'node:path'
import type { HttpClient } from '../../../base/http/client.ts'
import { makeFolder, readText, writeWhole } from '../../../kernel/file.ts'
import { newKey } from '../authority.ts'

const maxAnswerBytes = 256 << 10

export type AcmeAnswer = { readonly location: string | undefined; readonly text: string; readonly json: Readonly<Record<string, unknown>> }

/** What the server would not do, in its own words. */
export class AcmeProblem extends Error {
  readonly type: string
  /** The same may be asked again later: what stands at the server is as good as before. */
  readonly mayPass: boolean

  constructor(type: string, detail: string, status = 400) {
    super(`${detail} (${type})`)
    this.type = type
    this.mayPass = status === 429 || status >= 500
  }
}

export type AcmeAccount = {
  /** Asks with a signature; without `payload` it only reads (RFC 8555 §6.3). Throws `AcmeProblem`. */
  post(url: string, payload: object | undefined, signal: AbortSignal): Promise<AcmeAnswer>
  readonly newOrder: string
  /** What proves at the address of a challenge who asked for it (RFC 8555 §8.1). */
  proof(token: string): string
}

export type AccountSettings = { readonly directory: string; readonly contact: readonly string[]; readonly folder: string }

/** Its key is made and kept before the server hears of it; the server knows it again by that. */
export async function openAccount(
  http: Pick<HttpClient, 'send'>,
  { directory, contact, folder }: AccountSettings,
  signal: AbortSignal,
): Promise<AcmeAccount> {
  const key = accountKey(folder)
  const { crv, kty, x, y } = createPublicKey(key).export({ format: 'jwk' })
  const jwk = { crv, kty, x, y }
  const places = (await heard(http, { method: 'GET', url: new URL(directory), headers: {}, signal })).json
  const place = (name: string): string => {
    const url = places[name]
    if (typeof url !== 'string') throw new AcmeProblem('no directory', `${directory} names no ${name}`)
    return url
  }
  let nonce: string | undefined
  let account: string | undefined
  const nextNonce = async (): Promise<string> => {
    const held = nonce
    nonce = undefined
    const next = held ?? (await heard(http, { method: 'GET', url: new URL(place('newNonce')), headers: {}, signal })).nonce
    if (next === undefined) throw new AcmeProblem('no nonce', `${directory} gives no nonce`)
    return next
  }
  const post = async (url: string, payload: object | undefined, until: AbortSignal, triesLeft = 4): Promise<AcmeAnswer> => {
    const head = { alg: 'ES256', nonce: await nextNonce(), url, ...(account === undefined ? { jwk } : { kid: account }) }
    const [protectedPart, payloadPart] = [encoded(head), payload === undefined ? '' : encoded(payload)]
    const signature = sign('sha256', Buffer.from(`${protectedPart}.${payloadPart}`), { key, dsaEncoding: 'ieee-p1363' }).toString(
      'base64url',
    )
    const body = Buffer.from(JSON.stringify({ protected: protectedPart, payload: payloadPart, signature }))
    const headers = { 'content-type': 'application/jose+json', accept: 'application/json, application/pem-certificate-chain' }
    try {
      const answer = await heard(http, { method: 'POST', url: new URL(url), headers, body, signal: until })
      nonce = answer.nonce
      return answer
    } catch (error) {
      const isStale = error instanceof AcmeProblem && error.type.endsWith(':badNonce') // one is good for once, and not for ever
      if (isStale && triesLeft > 0) return post(url, payload, until, triesLeft - 1)
      throw error
    }
  }
  account = (await post(place('newAccount'), { termsOfServiceAgreed: true, contact: contact.map((one) => `mailto:${one}`) }, signal))
    .location
  const thumbprint = createHash('sha256').update(JSON.stringify(jwk)).digest('base64url') // RFC 7638: members in this order
  return { post, newOrder: place('newOrder'), proof: (token) => `${token}.${thumbprint}` }
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function accountKey(folder: string): string {
  const path = join(folder, 'account-key.pem')
  const found = readText(path)
  if (found !== undefined) return found
  makeFolder(folder)
  const key = newKey()
  writeWhole(path, key)
  return key
}

async function heard(http: Pick<HttpClient, 'send'>, asked: Parameters<HttpClient['send']>[0]) {
  const response = await http.send({ ...asked, headers: { ...asked.headers, 'user-agent': 'fairlead' } })
  let text = ''
  for await (const part of response.setEncoding('utf8') as AsyncIterable<string>) {
    text += part
    if (text.length > maxAnswerBytes) throw new AcmeProblem('too long', `the answer of ${asked.url.href} is too long`)
  }
  const { statusCode = 0, headers } = response
  const json = objectIn(text)
  if (statusCode >= 400) {
    const { type, detail } = json
    throw new AcmeProblem(
      typeof type === 'string' ? type : `HTTP ${statusCode}`,
      typeof detail === 'string' ? detail : asked.url.href,
      statusCode,
    )
  }
  const nonce = headers['replay-nonce']
  return { location: headers.location, nonce: typeof nonce === 'string' ? nonce : undefined, text, json }
}

/** Empty where the text is no JSON object: a chain of certificates is none. */
function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}
