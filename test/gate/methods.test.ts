// Methods that are no tools, prompts or resources: denied and recorded like those, in both eras and over both bridges; and names that are no names.
import { describe, expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import {
  type RawAnswer,
  type RunningGate,
  type Line,
  gateFor,
  ledgerLines,
  modern,
  openSession,
  post,
  send,
  unrulyServer,
  until,
} from './bed.ts'
import { modernOnly } from './far-ends.ts'

const few = 'a-token-with-few-rights'
const more = 'a-token-with-more-rights'
const access =
  `[gate.principals.few]\ntoken_sha256 = "${tokenHash(few)}"\n[gate.principals.more]\ntoken_sha256 = "${tokenHash(more)}"\n` +
  `[[gate.rules]]\nprincipals = ["few", "more"]\nupstreams = ["*"]\ntools = ["*"]\nresources = ["*"]\nprompts = ["*"]\n` +
  `[[gate.rules]]\nprincipals = ["more"]\nupstreams = ["*"]\nmethods = ["tasks/*", "x/exec", "notifications/x"]\n`
/** An object that `String` cannot turn into text. */
const nameless = { toString: 1, valueOf: 1 }

type Bed = {
  readonly gate: RunningGate
  readonly reached: () => string[]
  ask(token: string, method: string, params?: object): Promise<RawAnswer>
  tell(token: string, method: string): Promise<RawAnswer>
}

async function bed(era: 'legacy' | 'modern', server: 'legacy' | 'modern'): Promise<Bed> {
  const old = unrulyServer()
  const young = await modernOnly()
  const gate = await gateFor({ upstreams: { up: server === 'legacy' ? { command: old.command } : { url: young.url } }, access })
  const url = gate.url('up')
  const sessions = new Map<string, string>()
  if (era === 'legacy') for (const token of [few, more]) sessions.set(token, await openSession(url, { token }))
  const modernHeaders = { 'mcp-protocol-version': '2026-07-28' }
  return {
    gate,
    reached: () => (server === 'legacy' ? old.notes().flatMap(({ method }) => method ?? []) : young.methods),
    ask: (token, method, params = {}) =>
      era === 'legacy'
        ? post(url, method, params, { token, session: sessions.get(token)! })
        : modern(url, method, params as Record<string, unknown>, { token }),
    tell: (token, method) =>
      send(url, JSON.stringify({ jsonrpc: '2.0', method, params: {} }), {
        token,
        ...(era === 'legacy' ? { session: sessions.get(token)! } : { headers: modernHeaders }),
      }),
  }
}

const told = (gate: RunningGate): Line[] => ledgerLines(gate).filter(({ event }) => event !== 'ledger.start' && event !== 'tool.pinned')

describe.each([
  ['legacy', 'legacy'],
  ['modern', 'legacy'],
  ['legacy', 'modern'],
  ['modern', 'modern'],
] as const)('%s client, %s server', (era, server) => {
  test('attack 25: a method of its own needs a rule of its own, and a refusal is one line', async () => {
    const { gate, reached, ask, tell } = await bed(era, server)
    const unknown = [
      'secret/exec',
      'Tools/call',
      ...(era === 'legacy' ? ['tools/call '] : []),
      'tasks/list',
      'tasks/cancel',
      'x/exec',
      'x/other',
      '__proto__',
      'constructor',
    ]
    // HTTP takes the blank off the header that mirrors the method, so a modern client's differs from its body.
    if (era === 'modern') expect((await ask(few, 'tools/call ')).body.error?.code).toBe(-32020)
    const before = told(gate).length
    for (const method of unknown)
      expect((await ask(few, method, { name: 'echo' })).body.error, method).toMatchObject({
        code: -32001,
        message: expect.stringContaining(`no rule lets few use the method ${method} of up`) as string,
      })
    const notified = ['notifications/x', 'tools/call', 'secret/exec']
    for (const method of notified) expect((await tell(few, method)).status, method).toBeGreaterThanOrEqual(400)
    expect(
      told(gate)
        .slice(before)
        .filter(({ door }) => door === undefined) // a refusal at the door, of an earlier request, may be written late
        .map(({ event, principal, method }) => [event, principal, method]),
    ).toEqual([...unknown, ...notified].map((method) => ['refused', 'few', method]))
    expect(reached().filter((method) => unknown.includes(method) || notified.includes(method))).toEqual([])
  })

  test('what a rule for methods names goes through, with begin and end in the record', async () => {
    const { gate, reached, ask, tell } = await bed(era, server)
    const before = told(gate).length
    expect((await ask(more, 'tasks/other', { at: 't1' })).body.error?.code).not.toBe(-32001)
    expect((await ask(more, 'x/exec', { a: 1 })).body.error?.code).not.toBe(-32001)
    expect((await ask(more, 'x/other')).body.error?.code).toBe(-32001)
    expect((await tell(more, 'notifications/x')).status).toBe(202)
    const lines = told(gate).slice(before)
    expect(lines.map(({ event, method }) => [event, method])).toEqual([
      ['call.begin', 'tasks/other'],
      ['call.end', undefined],
      ['call.begin', 'x/exec'],
      ['call.end', undefined],
      ['refused', 'x/other'],
      ['call.begin', 'notifications/x'],
      ['call.end', undefined],
    ])
    expect(lines[0]).toMatchObject({ principal: 'more', params: expect.stringMatching(/^[\w-]{43}$/) as string })
    await until('the server has them', () => ['tasks/other', 'x/exec'].every((method) => reached().includes(method)))
    expect(reached()).not.toContain('x/other')
  })

  test('what every known principal may send needs no rule, and leaves no line', async () => {
    const { gate, ask, tell } = await bed(era, server)
    const before = told(gate).length
    const all = era === 'legacy' ? ['ping', 'tools/list', 'logging/setLevel'] : ['server/discover', 'tools/list']
    for (const method of all) expect((await ask(few, method, { level: 'info' })).body.error?.code, method).not.toBe(-32001)
    for (const method of ['notifications/progress', 'notifications/roots/list_changed']) expect((await tell(few, method)).status).toBe(202)
    expect(told(gate).slice(before)).toEqual([])
  })

  test('a name that is no text is nothing that a rule can allow, and ends nothing', async () => {
    const { gate, reached, ask } = await bed(era, server)
    const attempts: [string, object][] = [
      ['tools/call', { name: nameless }],
      ['tools/call', {}],
      ['completion/complete', { ref: { type: 'ref/prompt', name: nameless } }],
      ['completion/complete', { ref: { type: 'ref/prompt', name: ['x'] } }],
      ['completion/complete', { ref: { type: nameless, uri: nameless } }],
      ['completion/complete', { ref: null }],
      ['completion/complete', {}],
      ...(era === 'modern'
        ? ([['subscriptions/listen', { notifications: { resourceSubscriptions: [nameless] } }]] as [string, object][])
        : []),
    ]
    for (const [method, params] of attempts)
      expect((await ask(few, method, params)).body.error, JSON.stringify(params)).toMatchObject({
        code: -32001,
        message: expect.stringContaining('without a name') as string,
      })
    expect(reached().filter((method) => attempts.some(([tried]) => tried === method))).toEqual([])
    expect(gate.process.exitCode).toBeNull()
    expect((await ask(few, 'tools/list')).status).toBe(200)
  })
})

test('what may be a credential in a path or a URI is not in the record', async () => {
  const gate = await gateFor({
    upstreams: { up: { command: unrulyServer().command } },
    access: access.replaceAll('resources = ["*"]', 'resources = ["https://*"]'),
  })
  const url = gate.url('up')
  const session = await openSession(url, { token: few })
  await send(`${url}?access_token=s3cret-1`, '{}', { token: 'nobody' })
  await send(`http://127.0.0.1:${gate.port}/other?access_token=s3cret-2#s3cret`, '{}', { token: 'nobody' })
  await post(url, 'resources/read', { uri: 'https://name:s3cret-3@files.example/a/b?key=s3cret-4#s3cret-5' }, { token: few, session })
  await post(url, 'resources/read', { uri: 'ftp://s3cret-6@files.example/c?key=s3cret-7' }, { token: few, session })
  await until('all is written', () => ledgerLines(gate).length >= 5)
  const text = JSON.stringify(ledgerLines(gate))
  expect(text).not.toContain('s3cret')
  for (const kept of ['/mcp/up', '/other', 'https://files.example/a/b', 'ftp://files.example/c']) expect(text).toContain(`"${kept}"`)
})
