// Tokens from the outside: over HTTPS with real tokens of the node, and with those that an identity service knows.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, createServer } from 'node:http'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { type Authority, makeAuthority, makeCertificate } from '../../../test/kit/certificates.ts'
import { later } from '../../../test/kit/cleanup.ts'
import { type TestClock, createTestClock } from '../../../test/kit/clock.ts'
import { type Api, type Handlers, beatMs } from '../../base/control/api.ts'
import { controlClient } from '../../base/control/client.ts'
import { httpsWay } from '../../base/control/https-way.ts'
import { openHttpsControl } from '../../base/control/https.ts'
import { createHttpClient } from '../../base/http/client.ts'
import { openLedger } from '../../base/ledger/ledger.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { Secret } from '../../kernel/secret.ts'
import { callRecord } from '../call-record.ts'
import { admission, validatePath, validation } from './admission.ts'
import { type Role, tokenApi } from './api.ts'
import { tokenHandlers } from './operations.ts'
import { openTokens } from './tokens.ts'
import { createValidator } from './validator.ts'

const service = z.strictObject({ service: z.string().optional() })
const api = {
  ...tokenApi,
  look: { privilege: 'observe', summary: 'look', input: service, output: z.strictObject({}) },
  act: { privilege: 'change', summary: 'act', input: service, output: z.strictObject({}) },
  follow: { privilege: 'observe', summary: 'follow', input: service, stream: z.string(), output: z.strictObject({}) },
} as const satisfies Api

let authority: Authority
let certificate: { chain: string; key: string }
let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'token-'))
  authority = makeAuthority(root)
  certificate = makeCertificate(authority, ['IP:127.0.0.1'])
})
afterAll(() => rmSync(root, { recursive: true }))

let folder: string
let clock: TestClock
beforeEach(() => {
  folder = mkdtempSync(join(root, 'node-'))
  clock = createTestClock()
})

async function node(validatorUrl?: string) {
  const tokens = openTokens({ clock }, { path: join(folder, 'tokens.json') })
  const http = createHttpClient()
  later(() => http.close())
  const validator =
    validatorUrl === undefined ? undefined : createValidator({ http, clock }, { url: validatorUrl, roles: { staff: 'operator' } })
  const ledger = openLedger({ folder: join(folder, 'calls'), origin: 'rift/calls', clock, log })
  later(() => ledger.close())
  const handlers: Handlers<typeof api> = {
    ...tokenHandlers({ tokens, validator }),
    look: async () => ({}),
    act: async () => ({}),
    follow: async (_, { say, signal }) => {
      await say('begun')
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      return {}
    },
  }
  const needs = { tokens, validator, clock }
  const control = await openHttpsControl(
    { api, handlers, record: callRecord({ ledger, clock }), clock, log },
    { admit: admission(needs), others: { [validatePath]: validation(needs) } },
    { daemon: 'node', host: '127.0.0.1', port: 0, certificate },
  )
  later(() => control[Symbol.asyncDispose]())
  const as = (bearer: string) =>
    controlClient(api, {
      daemon: 'node',
      way: httpsWay({ host: '127.0.0.1', port: control.port }, { authority: authority.pem, bearer: new Secret(bearer) }),
    }).calls
  const mint = (name: string, role: Role, services: readonly string[] = ['*'], forMs = 60_000): string =>
    tokens.mint({ name, role, services, forMs }).token
  const lines = async (): Promise<Record<string, unknown>[]> => {
    await ledger.sync()
    return readFileSync(join(folder, 'calls/ledger.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }
  return { tokens, as, mint, lines, control }
}

const denied = { code: 'token.denied', kind: 'denied', message: expect.stringMatching(/^PERMISSION_DENIED: /) as string }
const unknown = { code: 'token.unauthenticated', kind: 'unauthenticated', message: expect.stringMatching(/^UNAUTHENTICATED: /) as string }

test('each role may what it is for, and only for its services', async () => {
  const { as, mint } = await node()
  const [viewer, operator, admin] = [as(mint('v', 'viewer')), as(mint('o', 'operator')), as(mint('a', 'admin'))]
  await viewer.look({})
  await expect(viewer.act({})).rejects.toMatchObject(denied)
  await operator.act({})
  await expect(operator['list-tokens']({})).rejects.toMatchObject(denied)
  expect((await admin['list-tokens']({})).map(({ name }) => name)).toEqual(['v', 'o', 'a'])
  const some = as(mint('s', 'operator', ['web-*', 'db']))
  await some.act({ service: 'web-shop' })
  await some.look({ service: 'db' })
  await expect(some.act({ service: 'web' })).rejects.toMatchObject(denied)
  await expect(some.act({ service: 'db2' })).rejects.toMatchObject(denied)
  await expect(some.look({})).rejects.toMatchObject(denied) // all of them
  await expect(some.follow({ service: 'mail' })).rejects.toMatchObject(denied)
})

test('a token is told once, known by its hash alone, and over at its time', async () => {
  const { as, mint, tokens } = await node()
  const token = mint('v', 'viewer')
  const file = join(folder, 'tokens.json')
  expect(token).toMatch(/^mcp_[\w-]{43}$/)
  expect(readFileSync(file, 'utf8')).not.toContain(token.slice(4))
  expect((statSync(file).mode & 0o777).toString(8)).toBe('600')
  expect(openTokens({ clock }, { path: file }).list()).toEqual(tokens.list())
  expect(() => mint('v', 'admin')).toThrow(expect.objectContaining({ code: 'token.name_taken' }))
  await as(token).look({})
  await clock.advance(60_000)
  await expect(as(token).look({})).rejects.toMatchObject({ ...unknown, message: 'UNAUTHENTICATED: the token v has expired' })
  expect(mint('v', 'admin')).not.toBe(token) // its name is free again
  writeFileSync(file, '{"schema":1,"tokens":[{"name":"x"}]}')
  expect(() => openTokens({ clock }, { path: file })).toThrow(expect.objectContaining({ code: 'token.unreadable' }))
})

test('a revocation counts for the next call, and ends the streams', async () => {
  const { as, mint, lines } = await node()
  const [token, admin] = [mint('v', 'viewer'), as(mint('a', 'admin'))]
  const stream = as(token).follow({})
  stream.catch(() => {})
  await vi.waitFor(() => expect(clock.waiting).toBeGreaterThan(0))
  await as(token).look({ service: 'db' })
  await admin['revoke-token']({ name: 'v' })
  await expect(as(token).look({})).rejects.toMatchObject(unknown)
  await clock.advance(beatMs)
  await expect(stream).rejects.toMatchObject(unknown)
  await expect(admin['revoke-token']({ name: 'v' })).rejects.toMatchObject({ code: 'token.none' })
  const all = await lines()
  expect(all).toContainEqual(
    expect.objectContaining({ event: 'call', who: 'v', via: 'token', operation: 'look', service: 'db', outcome: 'done' }),
  )
  expect(all).toContainEqual(expect.objectContaining({ event: 'call.begin', who: 'a', operation: 'revoke-token' }))
  expect(all).toContainEqual(expect.objectContaining({ event: 'call.end', outcome: 'done' }))
  expect(all).toContainEqual(expect.objectContaining({ event: 'call.refused', outcome: 'token.unauthenticated', path: '/v1/look' }))
  expect(all).toContainEqual(expect.objectContaining({ event: 'call', operation: 'follow', outcome: 'token.unauthenticated' }))
  expect(JSON.stringify(all)).not.toContain(token.slice(4))
})

test('a stranger who knocks without end does not fill the ledger', async () => {
  const { as, lines, mint } = await node()
  for (let n = 0; n < 60; n++)
    await as('wrong')
      .look({})
      .catch(() => {})
  await as(mint('v', 'viewer')).look({})
  expect((await lines()).filter(({ event }) => event === 'call.refused')).toHaveLength(20)
})

async function identityService(answer: (bearer: string) => { readonly status?: number; readonly body: unknown }) {
  let asked = 0
  const server = createServer((incoming: IncomingMessage, response) => {
    asked++
    const { status = 200, body } = answer(incoming.headers.authorization!.slice('Bearer '.length))
    incoming.resume()
    response.writeHead(incoming.method === 'POST' && incoming.url === '/v1/token/validate' ? status : 404).end(JSON.stringify(body))
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  later(() => server.close())
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}/v1/token/validate`,
    asked: () => asked,
    close: () => server.close(),
  }
}

test('an identity service is asked once in half a minute, and its guests are let in nowhere', async () => {
  const users: Record<string, object> = {
    ann: { valid: true, username: 'ann', roles: ['admin'], account_type: 'human', expires_at: 'later' },
    bob: { valid: true, username: 'bob', roles: ['staff', 'other'], account_type: 'system' },
    eve: { valid: true, username: 'eve', roles: ['admin'], account_type: 'guest' },
    joe: { valid: true, username: 'joe', roles: ['constructor'], account_type: 'human' },
  }
  const service = await identityService((bearer) =>
    users[bearer] ? { body: users[bearer] } : { status: bearer === 'odd' ? 500 : 401, body: {} },
  )
  const { as, control } = await node(service.url)
  await Promise.all([as('ann')['list-tokens']({}), as('ann').look({}), as('ann').act({})])
  expect(service.asked()).toBe(1)
  await as('bob').act({})
  await expect(as('bob')['list-tokens']({})).rejects.toMatchObject(denied)
  await expect(as('eve').look({})).rejects.toMatchObject({ code: 'token.guest', kind: 'denied' })
  await expect(as('joe').look({})).rejects.toMatchObject(denied)
  await expect(as('nobody').look({})).rejects.toMatchObject(unknown)
  await expect(as('odd').look({})).rejects.toMatchObject({ code: 'token.no_validator', kind: 'unavailable' })
  users['ann'] = { valid: false }
  await as('ann').look({})
  await clock.advance(30_000)
  await expect(as('ann').look({})).rejects.toMatchObject(unknown)
  expect(await validate(control.port, 'bob')).toEqual({ valid: true, username: 'bob', roles: ['operator'], account_type: 'system' })
})

test('the node answers that question, too', async () => {
  const { mint, control, tokens } = await node()
  const token = mint('v', 'viewer')
  expect(await validate(control.port, token)).toEqual({ valid: true, username: 'v', roles: ['viewer'], account_type: 'system' })
  tokens.revoke('v')
  expect(await validate(control.port, token)).toEqual({ valid: false })
})

function validate(port: number, bearer: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asking = request(
      {
        host: '127.0.0.1',
        port,
        ca: authority.pem,
        method: 'POST',
        path: '/v1/token/validate',
        agent: false,
        headers: { authorization: `Bearer ${bearer}` },
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => (text += part))
        response.on('end', () => resolve(JSON.parse(text)))
      },
    )
    asking.on('error', reject).end()
  })
}
