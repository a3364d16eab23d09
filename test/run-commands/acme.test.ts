// Names of routes with certificates of an ACME server (pebble): proved, renewed, asked for again without haste, and nothing lost by a kill in the middle.
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TLSSocket, connect } from 'node:tls'
import { expect, test } from 'vitest'
import { createHttpClient, type HttpClient } from '../../src/base/http/client.ts'
import { acmeSources } from '../../src/run/certs/acme/acme.ts'
import { isPair, certificateFacts, certificatePaths } from '../../src/run/certs/certificate.ts'
import { keepCertificate } from '../../src/run/certs/keeping.ts'
import { systemClock as clock } from '../../src/kernel/clock.ts'
import { silentLog as log } from '../../src/kernel/log.ts'
import { later } from '../kit/cleanup.ts'
import { hasPebble, startPebble } from '../kit/pebble.ts'
import { Bed } from './bed.ts'

const ok = { exitCode: 0 }
const never = new AbortController().signal
const route = (hostname: string): string => `network = "host"\n[[components.routes]]\nport = 1024\nmode = "l7"\nhostname = "${hostname}"\n`

test('a route is served with a certificate of the authority; one that cannot be proved says why', { timeout: 60_000 }, async ({ skip }) => {
  skip(!hasPebble, 'pebble is not installed')
  const pebble = await startPebble()
  const bed = new Bed()
  const acme = (port: number): string =>
    `[routes]\nlisten = "127.0.0.1:0"\n[acme]\ndirectory = "${pebble.directory}"\nterms_agreed = true\ncontact = ["ann@example.org"]\nca = "${pebble.caFile}"\nlisten = "127.0.0.1:${port}"\n`
  const agent = await bed.agent('rift', acme(pebble.proofPort))
  const { routesPort } = agent.told as unknown as { routesPort: number }
  expect(await bed.mcp(['node', 'add', 'rift', `unix:${agent.socket}`])).toMatchObject(ok)
  const ca = await pebble.root()
  const reached = (name: string): Promise<string> =>
    new Promise((resolve) => {
      const socket: TLSSocket = connect({ host: '127.0.0.1', port: routesPort, servername: name, ca }, () => {
        resolve(`${socket.authorized} ${socket.getPeerCertificate().subjectaltname}`)
        socket.destroy()
      }).on('error', ({ message }) => resolve(message))
    })
  bed.define('web', 'rift', 'r/web:v1', route('Web.example.org'))
  expect(await bed.mcp(['deploy', 'web'])).toMatchObject(ok)
  await expect.poll(() => reached('web.example.org'), { timeout: 20_000 }).toBe('true DNS:web.example.org')

  // Somebody else answers on that port: what the authority finds there is no proof, and both are told.
  const stranger = createServer((_request, response) => response.end('hello')).listen(pebble.proofPort, '127.0.0.1')
  later(() => stranger.close())
  bed.define('other', 'rift', 'r/web:v1', route('other.example.org'))
  expect(await bed.mcp(['deploy', 'other'])).toMatchObject(ok)
  const events = async (): Promise<string> => (await bed.mcp(['events', '--json'])).stdout
  await expect.poll(events, { timeout: 20_000 }).toMatch(/other\.example\.org: .*cannot listen on 127\.0\.0\.1:\d+: the port is busy/)
  expect(await reached('web.example.org')).toBe('true DNS:web.example.org')
  await new Promise((resolve) => stranger.close(resolve))
  expect(await bed.mcp(['cert', 'renew', 'rift', '--route', 'other.example.org'])).toMatchObject({
    ...ok,
    stdout: expect.stringMatching(/by CN=Pebble Intermediate CA .* \(acme\)\n {2}for other\.example\.org/),
  })
  expect(await reached('other.example.org')).toBe('true DNS:other.example.org')
  expect(await bed.mcp(['cert', 'status', 'rift', '--route', 'none.example.org'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('there are: other.example.org, web.example.org'),
  })
})

test(
  'an order goes on where it was cut off, a refused proof is named, and renewals keep the account',
  { timeout: 60_000 },
  async ({ skip }) => {
    skip(!hasPebble, 'pebble is not installed')
    const pebble = await startPebble(60)
    const bed = new Bed()
    const folder = join(bed.root, 'acme')
    const http = createHttpClient({ authority: readFileSync(pebble.caFile, 'utf8') })
    later(() => http.close())
    const place = { directory: pebble.directory, contact: [], host: '127.0.0.1', port: pebble.proofPort, folder }
    const orders = (): number => pebble.heard().split('Added order').length - 1

    // Killed after the first answer of each kind: what was reached counts. There is a second order only where the lost answer names it, or where the authority looked and nobody was there.
    for (const [kind, most] of Object.entries({ 'order-plz': 2, 'my-order': 1, authZ: 1, chalZ: 2, 'finalize-order': 1, certZ: 1 })) {
      const before = orders()
      let isCut = false
      const cutting: Pick<HttpClient, 'send'> = {
        async send(request) {
          const answer = await http.send(request)
          if (isCut || answer.statusCode! >= 300 || !request.url.pathname.startsWith(`/${kind}`)) return answer
          isCut = true
          answer.resume()
          throw new Error('killed')
        },
      }
      const name = `${kind.toLowerCase()}.example.org`
      await expect(acmeSources({ clock, http: cutting }, place)(name).issue(never)).rejects.toThrow('killed')
      const pem = await acmeSources({ clock, http }, place)(name).issue(never)
      expect([kind, isPair(pem), certificateFacts(pem.chain).names]).toEqual([kind, true, [name]])
      expect(orders() - before, kind).toBeLessThanOrEqual(most)
    }
    for (const name of readdirSync(folder)) expect([name, statSync(join(folder, name)).mode & 0o777]).toEqual([name, 0o600])

    // Kept, renewed by the same account, and its order forgotten when the certificate is in its place.
    const key = readFileSync(join(folder, 'account-key.pem'), 'utf8')
    const source = acmeSources({ clock, http }, place)('a.example.org')
    await using kept = await keepCertificate({ clock, log, onChange: () => {} }, { paths: certificatePaths(folder), certs: folder, source })
    const first = kept.facts()
    expect(readdirSync(folder)).not.toContain('a.example.org-order.json')
    expect((await kept.renew()).sha256).not.toBe(first.sha256)
    expect(certificateFacts(kept.now().chain).names).toEqual(['a.example.org'])
    expect(readFileSync(join(folder, 'account-key.pem'), 'utf8')).toBe(key)

    // The answer is at another port than the authority looks at: nobody is there.
    const wrong = acmeSources({ clock, http }, { ...place, port: 0 })('b.example.org')
    await expect(wrong.issue(never)).rejects.toMatchObject({
      code: 'run.challenge_failed',
      message: expect.stringMatching(/gives no certificate for b\.example\.org: .*connection refused/),
    })
    expect(readdirSync(folder)).not.toContain('b.example.org-order.json') // it is dead
    // An order that the server forgot, and one of a file that a crash of the disk ate.
    for (const text of [JSON.stringify({ order: pebble.directory.replace('/dir', '/my-order/none'), key: first.sha256 }), '{"order":']) {
      writeFileSync(join(folder, 'a.example.org-order.json'), text)
      expect(isPair(await source.issue(never))).toBe(true)
    }
  },
)
