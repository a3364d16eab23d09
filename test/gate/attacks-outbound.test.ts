// Attacks that would make the gate call, or tell its secrets, where nobody configured it to: a canary listens there and must hear nothing.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { type ServerResponse, createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { later } from '../kit/cleanup.ts'
import { fixtureCommand, rawCommand } from '../kit/fixture/process.ts'
import { startIssuer } from '../kit/issuer.ts'
import { type RunningGate, eras, call, gateFor, initializeParams, modern, openSession, post, temporaryFolder, until } from './bed.ts'

type Heard = { readonly method: string; readonly path: string; readonly headers: string; readonly body: string }

/** A server of HTTP on a free port, with everything that it has heard. */
async function ear(answer: (heard: Heard, response: ServerResponse) => void): Promise<{ readonly url: string; readonly heard: Heard[] }> {
  const heard: Heard[] = []
  const server = createServer((request, response) => {
    void request.toArray().then((chunks) => {
      const one = {
        method: request.method!,
        path: request.url!,
        headers: JSON.stringify(request.headers),
        body: Buffer.concat(chunks as Buffer[]).toString('utf8'),
      }
      heard.push(one)
      answer(one, response)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  later(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, heard }
}

const canary = () => ear((_heard, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{}'))
const secret = 'MARK-argument'

/** Nobody has called there: whatever `exchange` has made the gate do before it answers comes in before what is sent here. */
async function expectSilence({ url, heard }: Awaited<ReturnType<typeof canary>>, exchange: () => Promise<unknown>): Promise<void> {
  for (let round = 0; round < 3; round++) await exchange()
  await fetch(`${url}/last`)
  expect(heard.map(({ path }) => path)).toEqual(['/last'])
}

test.each([301, 302, 303, 307, 308])(
  'attack 16: a server that answers %i leads nowhere: no header, no body, no request (CVE-2026-111769)',
  async (status) => {
    const trap = await canary()
    for (const location of [`${trap.url}/mcp`, `${trap.url.replace('127.0.0.1', 'localhost')}/mcp`, `//${new URL(trap.url).host}/x`]) {
      const far = await ear((_heard, response) => void response.writeHead(status, { location }).end())
      const gate = await gateFor({ upstreams: { up: { url: `${far.url}/mcp` } } })
      const answers = [
        await post(gate.url('up'), 'initialize', initializeParams),
        await modern(gate.url('up'), 'tools/call', { name: 'x', arguments: { secret } }),
      ]
      for (const { text, headers, body } of answers) {
        expect(body.error).toBeDefined()
        expect(headers.get('location')).toBeNull()
        expect(text).not.toContain(new URL(trap.url).port)
      }
      expect(far.heard.length).toBeGreaterThan(0)
      await gate.stop()
    }
    expect(trap.heard).toEqual([])
  },
)

test('attack 16: a stream that was cut is gone on with at its own server only', async () => {
  const trap = await canary()
  const far = await ear(({ method, body }, response) => {
    if (method === 'GET') return void response.writeHead(307, { location: `${trap.url}/mcp` }).end()
    if (method !== 'POST') return void response.writeHead(200).end()
    const { id, method: asked } = JSON.parse(body) as { id?: unknown; method: string }
    if (id === undefined) return void response.writeHead(202).end()
    if (asked === 'initialize') {
      const result = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'x', version: '1' } }
      response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'MARK-session' })
      return void response.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end('id: 1\nretry: 1\ndata: \n\n')
  })
  const gate = await gateFor({ upstreams: { up: { url: `${far.url}/mcp`, more: 'request_timeout = "1s"' } } })
  const session = await openSession(gate.url('up'))
  await call(gate.url('up'), 'x', { secret }, { session })
  await until('the server was asked for the rest', () => far.heard.some(({ headers }) => headers.includes('"last-event-id":"1"')))
  await expectSilence(trap, () => call(gate.url('up'), 'x', { secret }, { session }))
})

const internal = [
  'http://169.254.169.254/latest/meta-data/',
  'http://[::ffff:169.254.169.254]/',
  'http://2852039166/',
  'http://0251.0376.0251.0376/',
  'file:///etc/passwd',
]

test.each(eras)(
  'attacks 15, 17, 26: no URL that a server names is ever fetched, no schema is run, by a %s client (CVE-2026-104850, CVE-2026-79747, Inspector 2.14.0)',
  async (era) => {
    const trap = await canary()
    const urls = [`${trap.url}/named`, ...internal]
    const schema = {
      type: 'object',
      $ref: urls[0],
      $schema: urls[0],
      properties: { a: { type: 'string', pattern: '^(a+)+$', 'x-mcp-header': 'A' }, b: { $ref: `${urls[0]}#/x` } },
    }
    const tools = urls.map((url, at) => ({ name: `t${at}`, inputSchema: schema, outputSchema: schema, icons: [{ src: url }] }))
    const far = await ear(({ method, body }, response) => {
      if (method !== 'POST') return void response.writeHead(405).end()
      const { id, method: asked } = JSON.parse(body) as { id?: unknown; method: string }
      if (id === undefined) return void response.writeHead(202).end()
      const about = { protocolVersion: '2025-11-25', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }
      const results: Record<string, object> = {
        initialize: { ...about, serverInfo: { name: 'x', version: '1', icons: [{ src: urls[0] }], websiteUrl: urls[0] } },
        'server/discover': { ...about, resultType: 'complete', serverInfo: { name: 'x', version: '1', icons: [{ src: urls[0] }] } },
        'tools/list': { resultType: 'complete', tools },
        'tools/call': { resultType: 'complete', content: urls.map((uri) => ({ type: 'resource_link', uri, name: 'x' })) },
      }
      if (asked === 'resources/read')
        return void response
          .writeHead(401, { 'www-authenticate': `Bearer resource_metadata="${urls[0]}", authorization_uri="${urls[0]}", scope="all"` })
          .end()
      response.writeHead(200, {
        'content-type': 'application/json',
        link: `<${urls[0]}>; rel="authorization-server"`,
        ...(asked === 'initialize' ? { 'mcp-session-id': 's' } : {}),
      })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result: results[asked] ?? {} }))
    })
    const gate = await gateFor({ upstreams: { up: { url: `${far.url}/mcp`, more: 'request_timeout = "5s"' } } })
    const session = era === 'legacy' ? await openSession(gate.url('up')) : undefined
    const ask = (method: string, params: Record<string, unknown>, headers: Record<string, string> = {}) =>
      session === undefined ? modern(gate.url('up'), method, params, { headers }) : post(gate.url('up'), method, params, { session })
    expect((await ask('tools/list', {})).body.result!['tools']).toHaveLength(urls.length)
    const long = 'a'.repeat(10_000)
    const from = performance.now()
    const answer = await ask('tools/call', { name: 't0', arguments: { a: `${long}!`, b: urls[0] } }, { 'mcp-param-a': `${long}!` })
    expect(performance.now() - from).toBeLessThan(10_000) // what goes back and forth in it takes longer than anyone waits
    expect(answer.body.result).toHaveProperty('content')
    const refused = await ask('resources/read', { uri: urls[0]! })
    expect(refused.body.error).toBeDefined()
    // Whom an upstream wants to be paid by is no challenge of ours: a client would send its token there.
    expect(refused.headers.get('www-authenticate') ?? '').not.toContain(urls[0]!)
    expect(refused.status).not.toBe(401)
    await expectSilence(trap, () => ask('resources/read', { uri: urls[0]! }))
    expect(gate.stderr.join('\n')).not.toMatch(/169\.254|2852039166/)
  },
)

test("attacks 15, 17: keys are asked for where the configuration says, whatever a token says, an issuer's metadata or a redirect", async () => {
  const [trap, issuer, evil] = [await canary(), await startIssuer(), await startIssuer()]
  const keys = `issuer = "${issuer.url}"\njwks_url = "${issuer.jwksUrl}"\nprincipals = { "ann" = "ann" }\n`
  const start = () =>
    gateFor({ upstreams: { up: { command: fixtureCommand } }, access: `[gate.principals.ann]\n[gate.issuers.corp]\n${keys}` })
  const status = async (gate: RunningGate, token: string) => (await modern(gate.url('up'), 'tools/list', {}, { token })).status
  const gate = await start()
  const claims = { sub: 'ann', aud: gate.url('up') }
  const header = { jku: `${trap.url}/keys`, x5u: `${trap.url}/certificate` }
  for (const iss of [issuer.url, evil.url, trap.url, `${trap.url}/`, ...internal])
    for (const token of [await evil.sign({ ...claims, iss }, { header }), await evil.sign({ ...claims, iss }, { kid: header.jku })])
      expect([iss, await status(gate, token)]).toEqual([iss, 401])
  await expectSilence(trap, () => status(gate, 'a.b.c'))
  expect(evil.asked).toBe(0)
  for (const code of [301, 302, 303, 307, 308]) {
    const location = `${code % 2 === 0 ? trap.url : trap.url.replace('http:', '')}/keys`
    issuer.instead = (response) => void response.writeHead(code, { location }).end()
    const before = issuer.asked
    const redirected = await start()
    const token = await issuer.sign({ sub: 'ann', aud: redirected.url('up') })
    expect([code, await status(redirected, token)]).toEqual([code, 503])
    expect(issuer.asked).toBeGreaterThan(before)
    await redirected.stop()
  }
  expect(trap.heard).toHaveLength(1)
})

test('attack 15: a name that leads elsewhere now (DNS rebinding) is told neither token nor call: the certificate there is none of that name', async () => {
  const folder = temporaryFolder()
  const at = (name: string): string => join(folder, name)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const openssl = (...words: string[]): void => void execFileSync('openssl', ['req', '-x509', ...key, ...words], { stdio: 'pipe' })
  openssl('-subj', '/CN=an authority', '-keyout', at('ca.key'), '-out', at('ca.pem'))
  const tlsEar = async (name: string) => {
    const own = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`, '-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)]
    openssl('-CA', at('ca.pem'), '-CAkey', at('ca.key'), ...own)
    const heard: string[] = []
    const server = createTlsServer({ key: readFileSync(at(`${name}.key`)), cert: readFileSync(at(`${name}.pem`)) }, (request, response) => {
      heard.push(JSON.stringify(request.headers))
      response.writeHead(500).end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    later(() => {
      server.closeAllConnections()
      server.close()
    })
    return { heard, url: `https://localhost:${(server.address() as AddressInfo).port}` }
  }
  const [right, rebound] = [await tlsEar('localhost'), await tlsEar('inner.example.test')]
  process.env['NODE_EXTRA_CA_CERTS'] = at('ca.pem')
  later(() => delete process.env['NODE_EXTRA_CA_CERTS'])
  const more = 'token = { env = "OUR_TOKEN" }'
  process.env['OUR_TOKEN'] = 'MARK-token'
  const issuer = `[gate.issuers.corp]\nissuer = "${rebound.url}"\njwks_url = "${rebound.url}/keys"\nprincipals = { "ann" = "ann" }\n`
  const rule = '[[gate.rules]]\nprincipals = ["ann"]\nupstreams = ["*"]\ntools = ["*"]\n'
  const gate = await gateFor({
    upstreams: { right: { url: `${right.url}/mcp`, more }, rebound: { url: `${rebound.url}/mcp`, more } },
    settings: 'door = "ann"\n',
    access: `[gate.principals.ann]\n${rule}${issuer}`,
  })
  for (const name of ['right', 'rebound']) {
    expect((await post(gate.url(name), 'initialize', initializeParams)).body.error).toBeDefined()
    expect((await modern(gate.url(name), 'tools/call', { name: 'x', arguments: { secret } })).body.error).toBeDefined()
  }
  expect(right.heard.join()).toContain('MARK-token')
  await until('the log tells of the keys', () => gate.stderr.some((line) => line.includes('access.keys.failed')))
  expect(rebound.heard).toEqual([])
})

test.each(['session', 'principal', 'shared'])(
  'attack 18: a link that is none is refused on its way, and the server is told; isolation %s',
  async (isolation) => {
    const log = join(temporaryFolder(), 'far-end')
    const gate = await gateFor({ upstreams: { up: { command: rawCommand('stdio', log, 'legacy'), more: `isolation = "${isolation}"` } } })
    const session = await openSession(gate.url('up'))
    const question = (id: string, url: string): string =>
      `{"jsonrpc":"2.0","id":"${id}","method":"elicitation/create","params":{"mode":"url","message":"m","url":"${url}"}}`
    const answer = '{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"done"}]}}'
    const frames = [question('bad', 'javascript:alert(1)'), question('good', 'https://example.org/'), answer]
    const { text } = await call(gate.url('up'), 'shout', { frames }, { session })
    expect(text).toContain('https://example.org/')
    expect(text).toContain('done')
    expect(text).not.toContain('javascript:')
    await until('the server was told', () => /"id":"bad","error":\{"code":-32602/.test(readFileSync(log, 'utf8')))
  },
)
