// Who comes in by which credential, and as what: static tokens, signed tokens of an issuer, assertions of Cloudflare Access; everything else is refused, and written down.
import { generateKeyPair } from 'jose'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Claims, type TestIssuer, startIssuer, unsigned } from '../../../test/kit/issuer.ts'
import { startMachine } from '../../daemons/machine.ts'
import { tools } from '../../extensions.ts'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import schema from '../config.ts'
import { openAccess } from './configured.ts'

const aud = 'f'.repeat(64)
const ours = 'https://pi.example.com/mcp'
let folder: string
let provider: TestIssuer
let team: TestIssuer
let url: string
const closing: (() => Promise<unknown> | void)[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-access-'))
  ;[provider, team] = await Promise.all([startIssuer(), startIssuer('/cdn-cgi/access/certs')])
  writeFileSync(join(folder, 'ops.token'), 'token-of-ops-which-is-long\n', { mode: 0o600 })
})
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
  rmSync(folder, { recursive: true })
})

async function start(access: object = {}): Promise<void> {
  const config = schema.parse({
    server: { port: 0 },
    access: {
      tokens: { ops: { token: { file: 'ops.token' }, role: 'operator' } },
      issuers: {
        home: {
          issuer: provider.url,
          audience: ours,
          jwks_url: provider.jwksUrl,
          rules: [
            { claim: 'sub', value: 'ann', role: 'viewer' },
            { claim: 'groups', value: 'admins', role: 'admin' },
            { claim: 'email', value: '*@corp.example', role: 'operator' },
          ],
        },
      },
      cloudflare_access: {
        team: team.url,
        audience: aud,
        rules: [
          { claim: 'email', value: 'ann@corp.example', role: 'admin' },
          { claim: 'common_name', value: 'abc.access', role: 'operator' },
          { claim: 'custom.groups', value: 'ops', role: 'operator' },
        ],
      },
      ...access,
    },
  })
  const opened = await openAccess({ clock: systemClock, log: silentLog, env: {}, folder }, config)
  const places = { metrics: join(folder, 'metrics/metrics.db'), logs: join(folder, 'log'), secret: join(folder, 'secret') }
  const server = await startMachine({ clock: systemClock, log: silentLog, version: '1', tools }, { config, places, admit: opened!.admit })
  closing.push(
    () => opened![Symbol.dispose](),
    () => server.close(),
  )
  url = server.url
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })
const assertion = (token: string): Record<string, string> => ({ 'cf-access-jwt-assertion': token })
const oauth = (claims: Claims, options?: Parameters<TestIssuer['sign']>[1]): Promise<string> =>
  provider.sign({ aud: ours, sub: 'x', ...claims }, options)
const cloudflare = (claims: Claims, options?: Parameters<TestIssuer['sign']>[1]): Promise<string> =>
  team.sign({ aud: [aud], type: 'app', ...claims }, options)

async function connect(headers: Record<string, string>): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } })
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }))
  closing.push(() => client.close())
  return client
}
/** The highest role of the tools that are shown. */
async function roleOf(headers: Record<string, string>): Promise<string> {
  const { tools: shown } = await (await connect(headers)).listTools()
  const has = (name: string): boolean => shown.some((tool) => tool.name === name)
  return has('logs_get_recent_audit_logs')
    ? 'admin'
    : has('logs_query_journal')
      ? 'operator'
      : has('system_get_basic_info')
        ? 'viewer'
        : 'none'
}
const statusOf = async (headers: Record<string, string>): Promise<number> =>
  (
    await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
      body: '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}',
    })
  ).status
const audit = (): Record<string, unknown>[] =>
  readFileSync(join(folder, 'log/audit.log'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

test('each credential gives the role that the configuration says, and the record names who it was', async () => {
  await start()
  expect(await roleOf(bearer('token-of-ops-which-is-long'))).toBe('operator')
  expect(await roleOf(bearer(await oauth({ sub: 'ann' })))).toBe('viewer')
  expect(await roleOf(bearer(await oauth({ sub: 'ann', groups: ['users', 'admins'] })))).toBe('admin')
  expect(await roleOf(bearer(await oauth({ sub: 'bob', email: 'bob@corp.example', email_verified: true })))).toBe('operator')
  expect(await roleOf(assertion(await cloudflare({ email: 'ann@corp.example' })))).toBe('admin')
  expect(await roleOf(assertion(await cloudflare({ common_name: 'abc.access', sub: '' })))).toBe('operator')
  expect(await roleOf(assertion(await cloudflare({ email: 'eve@corp.example', custom: { groups: ['ops'] } })))).toBe('operator')
  const logins = audit().filter(({ event }) => event === 'auth_login')
  expect(logins.map(({ principal, via }) => `${via as string} ${principal as string}`)).toEqual([
    'token ops',
    'jwt home:ann',
    'jwt home:bob',
    'cloudflare ann@corp.example',
    'cloudflare service:abc.access',
    'cloudflare eve@corp.example',
  ])
})

test('a tool above the role is refused, though its name is known', async () => {
  await start()
  const client = await connect(bearer(await oauth({ sub: 'ann' })))
  expect(await client.callTool({ name: 'metrics_stop_sampling' })).toMatchObject({
    isError: true,
    content: [{ text: expect.stringMatching(/home:ann may not call/) }],
  })
  expect((await client.callTool({ name: 'metrics_get_status' })).structuredContent).toMatchObject({ isSampling: true })
})

describe('refused', () => {
  test('whatever proves nobody, in every way, and the record says so without the credential', async () => {
    await start()
    const { privateKey: evil } = await generateKeyPair('RS256')
    const good = { sub: 'ann' }
    const past = Math.floor(Date.now() / 1_000) - 600
    const bad: [string, Record<string, string>, number][] = [
      ['nothing, also from this machine', {}, 401],
      ['another token', bearer('token-of-nobody'), 401],
      ['no bearer', { authorization: 'Basic YTpi' }, 401],
      ['no signature', bearer(unsigned({ iss: provider.url, aud: ours, ...good })), 401],
      ['another key', bearer(await oauth(good, { key: evil })), 401],
      ['expired', bearer(await oauth({ ...good, exp: past })), 401],
      ['another audience', bearer(await oauth({ ...good, aud: 'https://elsewhere.example' })), 401],
      ['another issuer', bearer(await oauth({ ...good, iss: 'https://elsewhere.example' })), 401],
      ['an email that nobody verified', bearer(await oauth({ sub: 'm', email: 'm@corp.example' })), 403],
      ['nobody whom a rule names', bearer(await oauth({ sub: 'mallory' })), 403],
      ['no subject', bearer(await oauth({ sub: undefined, groups: ['admins'] })), 403],
      ['an assertion of the issuer', assertion(await oauth(good)), 401],
      ['a bearer of Cloudflare', bearer(await cloudflare({ email: 'ann@corp.example' })), 401],
      ['a common name beside an email', assertion(await cloudflare({ email: 'm@x', common_name: 'abc.access' })), 403],
      ['an assertion that is none', assertion('yes'), 401],
      ['a good token beside a bad assertion', { ...bearer('token-of-ops-which-is-long'), ...assertion('yes') }, 401],
      ['two principals', { ...bearer('token-of-ops-which-is-long'), ...assertion(await cloudflare({ email: 'ann@corp.example' })) }, 401],
    ]
    for (const [what, headers, status] of bad) expect([what, await statusOf(headers)]).toEqual([what, status])
    const failed = audit().filter(({ event }) => event === 'auth_failed')
    expect(failed).toHaveLength(bad.length)
    for (const token of bad.flatMap(([, headers]) => Object.values(headers)))
      expect(JSON.stringify(failed)).not.toContain(token.replace('Bearer ', '').slice(0, 40))
  })

  test('a session is its principal’s, and ends for whoever comes back with another role', async () => {
    await start()
    const open = async (token: string): Promise<string> => {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...bearer(token) },
        body: '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}',
      })
      return response.headers.get('mcp-session-id')!
    }
    const ask = async (token: string, session: string): Promise<number> =>
      (
        await fetch(url, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
            'mcp-session-id': session,
            ...bearer(token),
          },
          body: '{"jsonrpc":"2.0","id":2,"method":"tools/list"}',
        })
      ).status
    const admin = await oauth({ sub: 'ann', groups: ['admins'] })
    const session = await open(admin)
    expect(await ask(admin, session)).toBe(200)
    expect(await ask('token-of-ops-which-is-long', session)).toBe(404)
    expect(await ask(await oauth({ sub: 'ann' }), session)).toBe(404)
  })

  test('keys that cannot be had: told as such, and never a way in', async () => {
    await provider.down()
    await start()
    expect(await statusOf(bearer(await oauth({ sub: 'ann' })))).toBe(503)
    expect(await statusOf(bearer('token-of-ops-which-is-long'))).toBe(200)
  })
})

test('a configuration that cannot hold is refused at the start', async () => {
  await expect(
    start({ tokens: { a: { token: { file: 'ops.token' }, role: 'viewer' }, b: { token: { file: 'ops.token' }, role: 'admin' } } }),
  ).rejects.toMatchObject({ code: 'operate.doubled_token' })
  const issuer = { issuer: provider.url, audience: ours, rules: [{ claim: 'sub', value: 'ann', role: 'viewer' }] }
  await expect(start({ issuers: { home: { ...issuer, jwks_file: 'gone.json' } } })).rejects.toMatchObject({ code: 'operate.bad_keys' })
  const problem = (access: object): boolean => schema.safeParse({ access }).success
  expect(problem({ issuers: { home: { ...issuer, jwks_url: 'http://keys.example/jwks' } } })).toBe(false)
  expect(problem({ issuers: { home: issuer } })).toBe(false)
  expect(problem({ issuers: { home: { ...issuer, jwks_url: 'https://keys.example/jwks', rules: [] } } })).toBe(false)
  expect(problem({ tokens: { a: { token: 'written-out', role: 'viewer' } } })).toBe(false)
})
