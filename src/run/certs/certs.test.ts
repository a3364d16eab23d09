// The agent's certificate: made, renewed in time, taken over from a person or a PKI; openssl is the stranger that says whether it is good.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createHttpClient } from '../../base/http/client.ts'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { Secret } from '../../kernel/secret.ts'
import { createTestClock } from '../../../test/kit/clock.ts'
import { issue } from './authority.ts'
import { type Pem, certificateFacts, certificatePaths, readCertificate, writeCertificate } from './certificate.ts'
import { keepCertificate } from './keeping.ts'
import { certificateIn, requestCertificate } from './pki.ts'

const day = 86_400_000
let certs: string
beforeEach(() => {
  certs = mkdtempSync(join(tmpdir(), 'certs-'))
})
afterEach(() => rmSync(certs, { recursive: true }))

const openssl = (...args: string[]): string => execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

test('the built-in authority: made once, and what it issues is good for its names alone', async () => {
  const first = await issue(certs, 'rift', ['rift', '10.77.0.2', '::1'])
  const second = await issue(certs, 'rift', ['rift'])
  writeCertificate(certificatePaths(certs), certs, first)
  const ca = join(certs, 'ca.pem')
  const verify = (...more: string[]): string =>
    openssl('verify', '-CAfile', ca, '-purpose', 'sslserver', '-x509_strict', ...more, join(certs, 'cert.pem'))
  expect(verify('-verify_hostname', 'rift')).toContain('OK')
  expect(verify('-verify_ip', '10.77.0.2')).toContain('OK')
  expect(() => verify('-verify_hostname', 'other')).toThrow('hostname mismatch')
  expect(second.chain.split('-----BEGIN').at(-1)).toBe(first.chain.split('-----BEGIN').at(-1)) // the same authority
  expect(certificateFacts(first.chain)).toMatchObject({ subject: 'CN=rift', issuer: 'CN=Fairlead node rift' })
  for (const secret of ['ca-key.pem', 'key.pem']) expect(statSync(join(certs, secret)).mode & 0o777).toBe(0o600)
  expect(existsSync(join(certs, '.next-key.pem'))).toBe(false)
})

test.each(['rift, IP:1.2.3.4', 'a/CN=b', 'x\ny', ''])('the name %j is none', async (name) => {
  await expect(issue(certs, 'rift', [name])).rejects.toMatchObject({ code: 'run.certificate_failed' })
})

test('renewed at two thirds of its life, kept when that fails, and taken over when a person put another one there', async () => {
  const clock = createTestClock(Date.now())
  const changes: Pem[] = []
  let isDown = false
  let issued = 0
  const source = {
    name: 'test',
    async issue() {
      if (isDown) throw new Error('down')
      issued++
      return issue(certs, 'rift', [`n${issued}`])
    },
  }
  const paths = certificatePaths(certs)
  await using kept = await keepCertificate(
    { clock, log, onChange: (pem) => changes.push(pem) },
    { paths, certs, source, lookEveryMs: day / 48 },
  )
  const life = kept.facts().until - kept.facts().from
  expect(life).toBe(90 * day)
  const settle = async (ms: number): Promise<void> => {
    await clock.advance(ms)
    await expect.poll(() => readCertificate(paths)?.chain === kept.now().chain).toBe(true)
  }
  await settle(59 * day)
  expect(issued).toBe(1)
  isDown = true
  await clock.advance(2 * day)
  expect([issued, kept.facts().names]).toEqual([1, ['n1']])
  isDown = false
  await clock.advance(day / 3)
  await expect.poll(() => kept.facts().names).toEqual(['n2'])
  writeCertificate(paths, certs, await issue(certs, 'rift', ['by-hand']))
  await clock.advance(day / 24)
  expect(kept.facts().names).toEqual(['by-hand'])
  writeFileSync(paths.key, readFileSync(join(certs, 'ca-key.pem'))) // half of a pair
  await clock.advance(day / 24)
  expect(kept.facts().names).toEqual(['by-hand'])
  expect(changes.map(({ chain }) => certificateFacts(chain).names[0])).toEqual(['n2', 'by-hand'])
}, 60_000)

test('a PKI engine is asked as the runbook does, and whatever it answers is a pair or a fault', async () => {
  const good = await issue(certs, 'rift', ['mcp-agent.example.org'])
  const [leaf, authority] = good.chain.match(/-----BEGIN[^]*?-----END CERTIFICATE-----/g)!
  let answer: unknown = { certificate: { ca: authority, pem: leaf }, private_key: good.key }
  const asked: unknown[] = []
  const server = createServer((request, response) => {
    let text = ''
    request
      .on('data', (part: Buffer) => (text += part.toString()))
      .on('end', () => {
        asked.push([request.method, request.url, request.headers.authorization, JSON.parse(text)])
        response.end(JSON.stringify(answer))
      })
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const http = createHttpClient()
  try {
    const settings = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, mount: 'pki', issuer: 'web', ttl: '2160h' }
    const names = ['mcp-agent.example.org', '100.64.0.7']
    const ask = () => requestCertificate({ http, clock: systemClock }, settings, { commonName: names[0]!, names, token: new Secret('t0k') })
    expect((await ask()).chain).toBe(good.chain)
    expect(asked).toEqual([
      [
        'POST',
        '/v1/engine/request',
        'Bearer t0k',
        {
          mount: 'pki',
          operation: 'issue',
          path: 'web',
          data: {
            issuer: 'web',
            common_name: names[0],
            profile: 'server',
            dns_names: [names[0]],
            ip_addresses: [names[1]],
            ttl: '2160h',
          },
        },
      ],
    ])
    answer = { error: 'sealed' }
    await expect(ask()).rejects.toMatchObject({ code: 'run.certificate_failed' })
  } finally {
    http.close()
    server.close()
  }
})

test.each(['', '{', '[]', '{"certificate":"-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----"}'])(
  'an answer that holds none: %j',
  (text) => {
    expect(() => certificateIn(text)).toThrow('there is no new certificate')
  },
)
