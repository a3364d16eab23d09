// Signed tokens at the door of a real gate: what is taken, what is refused and how that is said, and where tokens never appear.
import { generateKeyPair } from 'jose'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import { fixtureCommand } from '../kit/fixture/process.ts'
import { type TestIssuer, startIssuer, unsigned } from '../kit/issuer.ts'
import {
  type RunningGate,
  call,
  gateFor,
  initializeParams,
  listen,
  ledgerLines,
  modern,
  openSession,
  send,
  temporaryFolder,
  textOf,
  until,
} from './bed.ts'
import * as raw from '../kit/raw-client.ts'
import { fixtureOn } from './far-ends.ts'

const owner = 'a-token-of-the-owner'
const metadataPath = '/.well-known/oauth-protected-resource'
const rules = '[[gate.rules]]\nprincipals = ["alice", "bob", "owner"]\nupstreams = ["*"]\ntools = ["*"]\n'
const people = `[gate.principals.alice]\n[gate.principals.bob]\n[gate.principals.owner]\ntoken_sha256 = "${tokenHash(owner)}"\n${rules}`

let issuer: TestIssuer
beforeEach(async () => {
  issuer = await startIssuer()
})

const issuerTable = (more = `jwks_url = "${issuer.jwksUrl}"\n`): string =>
  `[gate.issuers.corp]\nissuer = "${issuer.url}"\n${more}principals = { "alice@corp" = "alice", "bob@corp" = "bob" }\n`

function start(
  more = '',
  options: { readonly settings?: string; readonly upstreams?: Record<string, object>; readonly log?: 'debug' } = {},
): Promise<RunningGate> {
  return gateFor({
    upstreams: { up: { command: fixtureCommand }, other: { command: fixtureCommand } },
    access: people + (more || issuerTable()),
    ...options,
  })
}

const echo = (gate: RunningGate, token: string | undefined, upstream = 'up'): ReturnType<typeof modern> =>
  modern(gate.url(upstream), 'tools/call', { name: 'echo', arguments: { text: 'in' } }, token === undefined ? {} : { token })

const seconds = (fromNow: number): number => Math.floor(Date.now() / 1_000) + fromNow

describe('what is taken', () => {
  test('a token for the upstream, or for the whole gate; both eras; the record names the way', async () => {
    const gate = await start()
    const forUp = await issuer.sign({ sub: 'alice@corp', aud: gate.url('up') })
    expect(textOf(await echo(gate, forUp))).toBe('in')
    const session = await openSession(gate.url('up'), { token: forUp })
    expect(textOf(await call(gate.url('up'), 'echo', { text: 'on' }, { token: forUp, session }))).toBe('on')
    for (const aud of [`http://127.0.0.1:${gate.port}`, `http://127.0.0.1:${gate.port}/`, ['https://elsewhere.example', gate.url('other')]])
      expect(textOf(await echo(gate, await issuer.sign({ sub: 'bob@corp', aud }), 'other'))).toBe('in')
    const begun = ledgerLines(gate).filter(({ event }) => event === 'call.begin')
    expect(begun.map(({ principal, via }) => [principal, via])).toEqual([
      ['alice', 'jwt'],
      ['alice', 'jwt'],
      ['bob', 'jwt'],
      ['bob', 'jwt'],
      ['bob', 'jwt'],
    ])
    expect(issuer.asked).toBe(1)
  })

  test('an email only if the issuer has verified it; a fixed audience where one is set; keys from a file', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'keys.json'), JSON.stringify({ keys: issuer.keys }))
    const gate = await start(issuerTable(`jwks_file = "${folder}/keys.json"\naudience = "the-gate"\nprincipal_claim = "email"\n`))
    const said = async (claims: object): Promise<number> =>
      (await echo(gate, await issuer.sign({ sub: 'x', aud: 'the-gate', ...claims }))).status
    expect(await said({ email: 'alice@corp', email_verified: true })).toBe(200)
    expect(await said({ email: 'alice@corp', email_verified: true, aud: ['a', 'the-gate'] })).toBe(200)
    for (const claims of [
      { email: 'alice@corp' },
      { email: 'alice@corp', email_verified: false },
      { email: 'alice@corp', email_verified: 'true' },
      { email: 'Alice@corp', email_verified: true },
      { email: 'eve@corp', email_verified: true },
      { sub: 'alice@corp' },
      { email: ['alice@corp'], email_verified: true },
    ])
      expect([claims, await said(claims)]).toEqual([claims, 403])
    expect(await said({ email: 'alice@corp', email_verified: true, aud: gate.url('up') })).toBe(401)
    expect(issuer.asked).toBe(0)
  })
})

describe('what is refused', () => {
  test('attack 7: the matrix (GHSA-rvq5-wwqv-78pq): 401 with the reason, and nobody comes in as the door', async () => {
    const gate = await start(issuerTable(), { settings: 'door = "owner"\n' })
    const aud = gate.url('up')
    const good = { sub: 'alice@corp', aud }
    const evil = await generateKeyPair('RS256', { extractable: true })
    const stranger = await startIssuer()
    const pem = new TextEncoder().encode(JSON.stringify(issuer.keys[0]))
    const bad: [string, string, RegExp][] = [
      ['expired', await issuer.sign({ ...good, exp: seconds(-61) }), /it has expired/],
      ['not yet valid', await issuer.sign({ ...good, nbf: seconds(120) }), /not valid yet/],
      ['without an end', await issuer.sign({ ...good, exp: undefined }), /it has no exp/],
      ['for nobody', await issuer.sign({ ...good, aud: undefined }), /it has no aud/],
      ['for another site', await issuer.sign({ ...good, aud: 'https://elsewhere.example/mcp/up' }), /another resource/],
      ['for another upstream', await issuer.sign({ ...good, aud: gate.url('other') }), /another resource/],
      ['for a longer port', await issuer.sign({ ...good, aud: `http://127.0.0.1:${gate.port}0/mcp/up` }), /another resource/],
      ['for something below', await issuer.sign({ ...good, aud: `${aud}/more` }), /another resource/],
      ['of another issuer', await stranger.sign(good), /issuer that is not known/],
      ['in the name of the issuer', await stranger.sign({ ...good, iss: issuer.url }), /signature is wrong/],
      ['by another key', await issuer.sign(good, { key: evil.privateKey }), /signature is wrong/],
      ['by nobody', unsigned({ ...good, iss: issuer.url }), /algorithm|malformed/],
      ['with the public key as a secret', await issuer.sign(good, { alg: 'HS256', key: pem }), /algorithm/],
      [
        'with an unknown key',
        await issuer.sign(good, { kid: '../../etc/passwd', key: evil.privateKey }),
        /key that its issuer does not have/,
      ],
      ['that is none', 'a.b.c', /issuer that is not known/],
    ]
    for (const [what, token, words] of bad) {
      for (const httpMethod of ['POST', 'GET', 'DELETE']) {
        const body =
          httpMethod === 'POST' ? JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: initializeParams }) : undefined
        const answer = await send(gate.url('up'), body, { httpMethod, token })
        expect([what, httpMethod, answer.status, answer.headers.get('mcp-session-id')]).toEqual([what, httpMethod, 401, null])
        expect(answer.body.error?.message).toMatch(words)
        const challenge = answer.headers.get('www-authenticate')!
        expect(challenge).toContain('error="invalid_token"')
        expect(challenge).toContain(`resource_metadata="http://127.0.0.1:${gate.port}${metadataPath}/mcp/up"`)
        expect(challenge).not.toContain(token)
      }
      const elsewhere = await send(`http://127.0.0.1:${gate.port}/health`, undefined, { httpMethod: 'GET', token })
      expect([what, elsewhere.status]).toEqual([what, 401])
    }
    expect((await echo(gate, undefined)).status).toBe(200)
    expect((await echo(gate, await issuer.sign(good))).status).toBe(200)
    const refused = () => ledgerLines(gate).filter(({ event }) => event === 'refused')
    await until(
      'all are in the record, at least by number',
      () => refused().reduce((sum, { further }) => sum + Number(further ?? 1), 0) === bad.length * 4,
    )
    expect(refused()[0]).toMatchObject({ door: 'http', via: 'jwt', path: '/mcp/up', reason: 'the token is not accepted: it has expired' })
  })

  test('attack 14: somebody who is nobody here, and a token without all scopes: 403 that names them all, on every path alike', async () => {
    const gate = await start(issuerTable(), { settings: 'scopes = ["mcp:read", "mcp:call"]\n' })
    const aud = gate.url('up')
    const scopes = (scope: unknown, claims: object = {}): Promise<string> => issuer.sign({ sub: 'alice@corp', aud, scope, ...claims })
    expect((await echo(gate, await scopes('mcp:call x mcp:read'))).status).toBe(200)
    expect((await echo(gate, await scopes(undefined, { scp: ['mcp:read', 'mcp:call'] }))).status).toBe(200)
    for (const token of [await scopes('mcp:read'), await scopes(undefined), await scopes('mcp:readmcp:call'), await scopes(['mcp:read'])]) {
      const answer = await echo(gate, token)
      expect(answer.status).toBe(403)
      expect(answer.headers.get('www-authenticate')).toBe(
        `Bearer realm="fairlead", error="insufficient_scope", scope="mcp:read mcp:call", resource_metadata="http://127.0.0.1:${gate.port}${metadataPath}/mcp/up"`,
      )
    }
    const nobody = await issuer.sign({ sub: 'eve@corp', aud, scope: 'mcp:read mcp:call' })
    for (const sub of ['', 'toString', '__proto__', 'alice', ['alice@corp'] as unknown as string])
      expect((await echo(gate, await issuer.sign({ sub, aud, scope: 'mcp:read mcp:call' }))).status).toBe(403)
    for (const path of ['/mcp/up', '/health']) {
      const answer = await send(`http://127.0.0.1:${gate.port}${path}`, undefined, { httpMethod: 'GET', token: nobody })
      // A token for one upstream is good for that alone
      expect([path, answer.status]).toEqual([path, path === '/mcp/up' ? 403 : 401])
    }
    expect((await echo(gate, undefined)).headers.get('www-authenticate')).toBe(
      `Bearer realm="fairlead", scope="mcp:read mcp:call", resource_metadata="http://127.0.0.1:${gate.port}${metadataPath}/mcp/up"`,
    )
  })

  test('attack 10: a session shown by another principal, however that one is proved', async () => {
    const gate = await start()
    const aud = `http://127.0.0.1:${gate.port}`
    const [alice, bob] = await Promise.all(['alice', 'bob'].map((who) => issuer.sign({ sub: `${who}@corp`, aud })))
    const session = await openSession(gate.url('up'), { token: alice! })
    const ping = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })
    for (const token of [bob!, owner])
      for (const [httpMethod, body] of [
        ['POST', ping],
        ['GET', undefined],
        ['DELETE', undefined],
      ] as const)
        expect((await send(gate.url('up'), body, { httpMethod, session, token })).status).toBe(404)
    const fresh = await issuer.sign({ sub: 'alice@corp', aud, jti: 'another' })
    expect((await send(gate.url('up'), ping, { session, token: fresh })).status).toBe(200)
  })
})

test('attack 13: what only listens ends with its token, and no other stream does', async () => {
  const gate = await start()
  const aud = gate.url('up')
  const token = await issuer.sign({ sub: 'alice@corp', aud })
  const [session, other] = [await openSession(aud, { token }), await openSession(aud, { token })]
  const stays = await listen(aud, { authorization: `Bearer ${token}`, 'mcp-session-id': session })
  const short = await issuer.sign({ sub: 'alice@corp', aud, exp: seconds(-52) }) // for 8 s, by what clocks may differ
  const ends = await listen(aud, { authorization: `Bearer ${short}`, 'mcp-session-id': other })
  const subscription = raw.modern(aud, 1, 'subscriptions/listen', { notifications: { toolsListChanged: true } }, { token: short })
  const stream = await subscription
  expect(stream.status).toBe(200)
  expect(await stream.next()).toMatchObject({ method: 'notifications/subscriptions/acknowledged' })
  expect(ends.isEnded()).toBe(false)
  await until('the stream of the short token ends', () => ends.isEnded())
  expect(await stream.next()).toBeUndefined()
  expect(stays.isEnded()).toBe(false)
  expect((await echo(gate, short)).status).toBe(401)
}, 30_000)

describe('metadata', () => {
  test('names the resource, its issuers and scopes, for upstreams that are there and others alike', async () => {
    const gate = await start(issuerTable(), { settings: 'scopes = ["mcp:call"]\n' })
    const get = (path: string, httpMethod = 'GET'): ReturnType<typeof send> =>
      send(`http://127.0.0.1:${gate.port}${path}`, undefined, { httpMethod })
    const about = { authorization_servers: [issuer.url], bearer_methods_supported: ['header'], scopes_supported: ['mcp:call'] }
    for (const path of ['', '/mcp', '/mcp/up', '/mcp/not-there']) {
      const answer = await get(metadataPath + path)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toBe('application/json')
      expect(JSON.parse(answer.text)).toEqual({ resource: `http://127.0.0.1:${gate.port}${path}`, ...about })
    }
    for (const path of ['/mcpx', '/mcp/UP', '/x', '/mcp/up/more', '/mcp/../x']) expect((await get(metadataPath + path)).status).toBe(401)
    expect((await get(metadataPath, 'POST')).status).toBe(401)
  })

  test('is of the public address where there is one, and is nothing without an issuer', async () => {
    const settings = 'public_url = "https://mcp.example.com"\n'
    const gate = await start(issuerTable(), { settings })
    const from = (path: string, host: string): ReturnType<typeof send> =>
      send(`http://127.0.0.1:${gate.port}${path}`, undefined, { httpMethod: 'GET', headers: { host } })
    expect(JSON.parse((await from(`${metadataPath}/mcp/up`, 'mcp.example.com')).text)).toMatchObject({
      resource: 'https://mcp.example.com/mcp/up',
    })
    expect((await from(metadataPath, 'evil.example.com')).status).toBe(403)
    expect((await echo(gate, await issuer.sign({ sub: 'alice@corp', aud: 'https://mcp.example.com/mcp/up' }))).status).toBe(200)
    expect((await echo(gate, await issuer.sign({ sub: 'alice@corp', aud: gate.url('up') }))).status).toBe(401)
    const plain = await gateFor({ upstreams: { up: { command: fixtureCommand } }, access: people })
    const answer = await send(`http://127.0.0.1:${plain.port}${metadataPath}`, undefined, { httpMethod: 'GET' })
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="fairlead"'])
  })
})

describe('when the keys cannot be had', () => {
  test('attack 30: the gate starts, refuses with 503 at once, lets others in, and takes tokens when they are back', async () => {
    await issuer.down()
    const gate = await start()
    await until('the log tells', () => gate.stderr.some((line) => line.includes('access.keys.failed')))
    const token = await issuer.sign({ sub: 'alice@corp', aud: gate.url('up') })
    const answer = await echo(gate, token)
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
    expect(answer.body.error?.message).toBe('the token cannot be checked now: the keys of its issuer cannot be had')
    expect((await echo(gate, owner)).status).toBe(200)
    const health = async (): Promise<unknown> => {
      const { text } = await send(`http://127.0.0.1:${gate.port}/health`, undefined, { httpMethod: 'GET', token: owner })
      const { status, checks } = JSON.parse(text) as { status: string; checks: Record<string, { ok: boolean; reason: string }> }
      return [status, checks['keys of corp']]
    }
    expect(await health()).toEqual(['degraded', { ok: false, reason: 'ECONNREFUSED' }])
    await issuer.up()
    expect((await echo(gate, token)).status).toBe(200)
    expect(await health()).toEqual(['ok', { ok: true, reason: 'nothing was wrong when they were last asked for' }])
    await issuer.down()
    expect((await echo(gate, await issuer.sign({ sub: 'bob@corp', aud: gate.url('up') }))).status).toBe(200) // the keys are known
  })

  test('while they take their time, others do not wait; the wait ends', async () => {
    issuer.instead = () => {}
    const gate = await start()
    const waiting = echo(gate, await issuer.sign({ sub: 'alice@corp', aud: gate.url('up') }))
    const tooks: number[] = []
    for (let count = 0; count < 20; count++) {
      const from = performance.now()
      expect((await echo(gate, owner)).status).toBe(200)
      tooks.push(performance.now() - from)
    }
    expect(tooks.sort((a, b) => a - b)[10]).toBeLessThan(500)
    expect((await waiting).status).toBe(503)
  }, 30_000)

  test('a key that is new to the gate is looked for', async () => {
    const gate = await start()
    const old = await issuer.sign({ sub: 'alice@corp', aud: gate.url('up') })
    expect((await echo(gate, old)).status).toBe(200)
    await issuer.rotate()
    expect((await echo(gate, await issuer.sign({ sub: 'alice@corp', aud: gate.url('up') }))).status).toBe(200)
    expect((await echo(gate, old)).status).toBe(401) // although it was good a moment ago
    expect(issuer.asked).toBe(3) // at the start, for the new key, and once more for the old one
  })
})

test('attack 9: tokens reach no upstream, no log, no record and no other client', async () => {
  const far = await fixtureOn()
  const gate = await start(issuerTable(), { upstreams: { remote: { url: far.url }, child: { command: fixtureCommand } }, log: 'debug' })
  const mark = 'MARKED-claim-of-a-token'
  const token = await issuer.sign({ sub: 'alice@corp', aud: `http://127.0.0.1:${gate.port}`, mark })
  const bad = await issuer.sign({ sub: mark, aud: mark, iss: mark, mark }, { kid: mark, header: { mark } })
  const all = [token, bad].flatMap((one) => [one, ...one.split('.'), mark])
  const answers: string[] = []
  const seen: string[] = []
  for (const name of ['remote', 'child']) {
    const session = await openSession(gate.url(name), { token })
    const headers = { 'cf-access-jwt-assertion': token, cookie: `CF_Authorization=${token}` }
    const legacy = await call(gate.url(name), 'seen', {}, { token, session, headers })
    const stateless = await modern(gate.url(name), 'tools/call', { name: 'seen', arguments: {} }, { token, headers })
    seen.push(textOf(legacy)!, textOf(stateless)!)
    const inQuery = modern(`${gate.url(name)}?access_token=${token}`, 'tools/list', {})
    for (const one of [await echo(gate, bad, name), await echo(gate, `${token}x`, name), await inQuery]) {
      expect(one.status).toBe(401)
      answers.push(one.text + JSON.stringify([...one.headers]))
    }
  }
  await gate.stop('SIGINT')
  const kept = readdirSync(join(gate.folder, 'state'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
  expect(seen.join('')).toContain('headers')
  expect(kept.join('')).toContain('not known here')
  expect(gate.stderr.join('')).toContain('gate.refused')
  for (const secret of all) for (const text of [...seen, ...answers, ...kept, ...gate.stderr]) expect(text).not.toContain(secret)
})
