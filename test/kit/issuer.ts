// An issuer of signed tokens on loopback: its keys over HTTP, which a test rotates, delays, bloats or takes away; and tokens, good and bad.
import { type CryptoKey, type JWK, SignJWT, exportJWK, generateKeyPair } from 'jose'
import { once } from 'node:events'
import { type ServerResponse, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { later } from './cleanup.ts'

export type Claims = Readonly<Record<string, unknown>>

export type SignOptions = {
  readonly alg?: string
  readonly kid?: string | undefined
  readonly header?: Readonly<Record<string, unknown>>
  /** Of another key pair than the one that holds now. */
  readonly key?: CryptoKey | Uint8Array
}

export type TestIssuer = {
  readonly url: string
  readonly jwksUrl: string
  readonly port: number
  /** How often the keys were asked for. */
  readonly asked: number
  /** What is answered instead of the keys; undefined: the keys. */
  instead: ((response: ServerResponse) => void) | undefined
  /** The public keys, as they are answered now. */
  readonly keys: readonly JWK[]
  /** Good for ten minutes, unless the claims say otherwise; an undefined claim is left out. */
  sign(claims: Claims, options?: SignOptions): Promise<string>
  /** A new key pair takes the place of the one before. */
  rotate(): Promise<void>
  down(): Promise<void>
  up(): Promise<void>
}

const now = (): number => Math.floor(Date.now() / 1_000)

/** Listens until the test ends. `path`: of the keys. */
export async function startIssuer(path = '/keys'): Promise<TestIssuer> {
  let asked = 0
  let generation = 0
  let pair = await generateKeyPair('RS256', { extractable: true })
  let keys: JWK[] = []
  const publish = async (): Promise<void> => {
    keys = [{ ...(await exportJWK(pair.publicKey)), kid: `k${++generation}`, use: 'sig', alg: 'RS256' }]
  }
  await publish()
  const server = createServer((request, response) => {
    if (request.url !== path) return void response.writeHead(404).end()
    asked++
    if (issuer.instead) return issuer.instead(response)
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }))
  })
  const listen = async (port: number): Promise<number> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  later(close)
  const port = await listen(0)
  const url = `http://127.0.0.1:${port}`
  const issuer: TestIssuer = {
    url,
    jwksUrl: url + path,
    port,
    get asked() {
      return asked
    },
    instead: undefined,
    get keys() {
      return keys
    },
    sign(claims, { alg = 'RS256', kid = keys[0]!.kid, header, key = pair.privateKey } = {}) {
      const all = Object.fromEntries(
        Object.entries({ iss: url, iat: now(), exp: now() + 600, ...claims }).filter(([, value]) => value !== undefined),
      )
      return new SignJWT(all).setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }), ...header }).sign(key)
    },
    async rotate() {
      pair = await generateKeyPair('RS256', { extractable: true })
      await publish()
    },
    down: close,
    up: async () => void (await listen(port)),
  }
  return issuer
}

/** A token that nobody has signed. */
export function unsigned(claims: Claims): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none', typ: 'JWT' })}.${part({ exp: now() + 600, ...claims })}.`
}
