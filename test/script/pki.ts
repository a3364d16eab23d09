// A PKI engine for one page: answers POST /v1/engine/request on 127.0.0.1:18443 with a certificate of its authority, for whoever shows the token.
//   pki.ts FOLDER TOKEN     FOLDER/ca.pem is its authority
import { chmodSync, mkdirSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import process from 'node:process'
import { makeAuthority, makeCertificate } from '../kit/certificates.ts'

const [folder, token] = process.argv.slice(2)
mkdirSync(folder!, { recursive: true })
const authority = makeAuthority(folder!, 'ca')
chmodSync(`${folder!}/ca.key`, 0o600)
const own = makeCertificate(authority, ['IP:127.0.0.1'])

type Asked = {
  readonly mount: string
  readonly operation: string
  readonly data: { readonly dns_names: readonly string[]; readonly ip_addresses: readonly string[] }
}

createServer({ cert: own.chain, key: own.key }, (request, response) => void answer(request, response)).listen(18_443, '127.0.0.1', () =>
  process.stdout.write('listening\n'),
)

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = ''
  for await (const part of request.setEncoding('utf8')) body += String(part)
  const say = (status: number, value: object): void =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  if (request.headers.authorization !== `Bearer ${token}`) return say(401, { error: 'who are you?' })
  if (`${request.method} ${request.url}` !== 'POST /v1/engine/request') return say(404, { error: 'there is nothing here' })
  const { mount, operation, data } = JSON.parse(body) as Asked
  if (mount !== 'pki' || operation !== 'issue') return say(400, { error: 'only pki issues here' })
  const names = [...data.dns_names.map((name) => `DNS:${name}`), ...data.ip_addresses.map((address) => `IP:${address}`)]
  const { chain, key } = makeCertificate(authority, names)
  const [leaf] = chain.split(/(?<=-----END CERTIFICATE-----\n)/)
  say(200, { data: { cert_pem: leaf, key_pem: key, chain_pem: chain } })
}
