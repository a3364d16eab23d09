// Certificates from a PKI engine over HTTP: the request of the runbook, and its answer, which a person may have fetched by hand.
import { type Clock, deadline } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { HttpClient } from '../../base/http/client.ts'
import { fault } from '../faults.ts'
import { type Pem, isAddress, isPair } from './certificate.ts'

const timeoutMs = 30_000
const maxAnswerBytes = 256 << 10

export type PkiSettings = {
  /** Where the engine is: `https://pki.example.org:8443`. */
  readonly url: string
  readonly mount: string
  readonly issuer: string
  /** Of the certificate: `2160h`. */
  readonly ttl: string
}

/** Asks for a certificate for these names. Fault `run.certificate_failed`. */
export async function requestCertificate(
  { http, clock }: { readonly http: Pick<HttpClient, 'send'>; readonly clock: Pick<Clock, 'after'> },
  { url, mount, issuer, ttl }: PkiSettings,
  { commonName, names, token }: { readonly commonName: string; readonly names: readonly string[]; readonly token: Secret },
): Promise<Pem> {
  const data = {
    issuer,
    common_name: commonName,
    profile: 'server',
    dns_names: names.filter((name) => !isAddress(name)),
    ip_addresses: names.filter(isAddress),
    ttl,
  }
  const body = Buffer.from(JSON.stringify({ mount, operation: 'issue', path: issuer, data }))
  try {
    const response = await http.send({
      method: 'POST',
      url: new URL('/v1/engine/request', url),
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token.reveal()}` },
      body,
      signal: deadline(clock, timeoutMs),
    })
    let text = ''
    response.setEncoding('utf8')
    for await (const part of response as AsyncIterable<string>) {
      text += part
      if (text.length > maxAnswerBytes) throw new Error('its answer is too long')
    }
    if (response.statusCode !== 200) throw new Error(`HTTP ${response.statusCode}`)
    return certificateIn(text)
  } catch (error) {
    if ((error as Error).name === 'Fault') throw error
    throw fault.certificate_failed({ reason: `the PKI at ${url}: ${reasonOf(error)}` }, error)
  }
}

/** Certificate and key in an engine's answer: PEM texts, wherever in it they are; the chain in the order in which they come. Fault `run.certificate_failed`. */
export function certificateIn(text: string): Pem {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw fault.certificate_failed({ reason: 'the answer is no JSON' }, error)
  }
  const texts: string[] = []
  collect(value, texts, 0)
  const whole = texts.join('\n')
  const certificates = [...new Set(whole.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [])]
  const [key] = whole.match(/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END (?:[A-Z]+ )?PRIVATE KEY-----/) ?? []
  if (certificates.length === 0 || key === undefined)
    throw fault.certificate_failed({ reason: `the answer holds no ${key === undefined ? 'private key' : 'certificate'}` })
  return inOrder(certificates, `${key}\n`)
}

/** The key's own certificate first. */
function inOrder(certificates: readonly string[], key: string): Pem {
  const own = certificates.find((one) => isPair({ chain: one, key })) ?? certificates[0]!
  return { chain: `${[own, ...certificates.filter((one) => one !== own)].join('\n')}\n`, key }
}

const maxDepth = 8
const maxTexts = 64

function collect(value: unknown, into: string[], depth: number): void {
  if (into.length >= maxTexts || depth > maxDepth) return
  if (typeof value === 'string') into.push(value)
  else if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) collect(part, into, depth + 1)
}
