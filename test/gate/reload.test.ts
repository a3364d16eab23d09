// The configuration changes while calls run: none is lost, sessions go on, and a bad file changes nothing.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import { later } from '../kit/cleanup.ts'
import { type GateOptions, configure } from '../kit/gate.ts'
import * as raw from '../kit/raw-client.ts'
import { listingServer, tool } from './doors.ts'
import { type RunningGate, eras, gateFor, ledgerLines, listen, openSession, send, servers, temporaryFolder, until } from './bed.ts'

const program = fileURLToPath(new URL('told-server.ts', import.meta.url))
const told = (name: string, more?: string) => ({
  command: [process.execPath, program, JSON.stringify({ name })],
  ...(more === undefined ? {} : { more }),
})
const all = (gate: RunningGate): string => `http://127.0.0.1:${gate.port}/mcp`

/** Resolves when the gate has taken it: its record says so. */
async function change(gate: RunningGate, options: GateOptions, event = 'reload'): Promise<void> {
  const before = ledgerLines(gate).filter((line) => line.event === event).length
  configure(gate.folder, { ...options, port: 0 })
  await until(`${event} is recorded`, () => ledgerLines(gate).filter((line) => line.event === event).length > before)
}

type Call = (upstream: string, name: string, given?: raw.Params) => Promise<raw.Message>

async function caller(gate: RunningGate, era: 'legacy' | 'modern', upstreams: readonly string[]): Promise<Call> {
  let id = 0
  if (era === 'modern') return async (upstream, name, given) => (await raw.modernCall(gate.url(upstream), ++id, name, given)).answer()
  const sessions = new Map<string, raw.RawSession>()
  for (const name of upstreams) sessions.set(name, await raw.openSession(gate.url(name)))
  return async (upstream, name, given) => (await sessions.get(upstream)!.call(++id, name, given)).answer()
}

describe.each(eras)('%s', (era) => {
  test('attack 31: calls in flight are answered by the server they went to, whether it stays, changes or goes; what comes next goes where it belongs now', async () => {
    const gate = await gateFor({ upstreams: { stays: told('S'), changes: told('old'), goes: told('G') } })
    const call = await caller(gate, era, ['stays', 'changes', 'goes'])
    const pid = raw.textOf(await call('stays', 'pid'))
    for (const name of ['changes', 'goes']) await call(name, 'who')
    const running = ['stays', 'changes', 'goes'].map((name) => call(name, 'slow', { ms: 1_500 }))
    await until('all of them run', () => ledgerLines(gate).filter((line) => line['name'] === 'slow').length === 3)
    await change(gate, { upstreams: { stays: told('S'), changes: told('new'), comes: told('C') } })
    const next = call('changes', 'who')
    expect((await Promise.all(running)).map((answer) => raw.textOf(answer))).toEqual(['S', 'old', 'G'])
    expect(raw.textOf(await next)).toBe('new')
    expect(raw.textOf(await call('stays', 'pid'))).toBe(pid)
    expect((await raw.modernCall(gate.url('comes'), 1, 'who').then((reply) => reply.answer())).result).toBeDefined()
    expect((await send(gate.url('goes'), '{}', { token: gate.token })).status).toBe(404)
    await until('the old servers are gone', () => servers(gate).length === 3)
  })
})

test('a session of all hears that its lists have changed, and has the new servers; one that was removed is an error', async () => {
  const gate = await gateFor({ upstreams: { a: told('A'), b: told('B') } })
  const session = await raw.openSession(all(gate))
  const stream = await session.get()
  later(() => stream.cut())
  for (const name of ['a', 'b']) await (await session.call(name, `${name}__who`)).answer()
  await change(gate, { upstreams: { a: told('A2'), c: told('C') } })
  expect((await stream.next())!.method).toBe('notifications/tools/list_changed')
  const tools = await (await session.request(1, 'tools/list')).answer()
  expect((tools.result!['tools'] as { name: string }[]).map(({ name }) => name)).toEqual(['a__who', 'c__who'])
  expect(raw.textOf(await (await session.call(2, 'a__who')).answer())).toBe('A2')
  expect((await (await session.call(3, 'b__who')).answer()).error?.message).toBe('no rule lets conformance use b')
  await change(gate, { upstreams: { b: told('B3') } })
  expect(raw.textOf(await (await session.call(4, 'b__who')).answer())).toBe('B3')
})

test('a bad file changes nothing, and says so with file, line and key: in the log, the health and the record; a good one mends it', async () => {
  const upstreams = { a: told('A') }
  const gate = await gateFor({ upstreams })
  const health = async () =>
    JSON.parse((await send(`http://127.0.0.1:${gate.port}/health`, undefined, { httpMethod: 'GET' })).text) as {
      status: string
      checks: Record<string, { ok: boolean; reason: string }>
    }
  const call = await caller(gate, 'legacy', ['a'])
  for (const settings of ['drain = "soon"', '[[[', '[[gate.rules]]\nprincipals = ["nobody"]\nupstreams = ["a"]']) {
    await change(gate, { upstreams, settings }, 'reload.refused')
    expect(raw.textOf(await call('a', 'who'))).toBe('A')
  }
  await change(gate, { upstreams, settings: 'drain = "soon"' }, 'reload.refused')
  const line = readFileSync(join(gate.folder, 'fairlead.toml'), 'utf8').split('\n').indexOf('drain = "soon"') + 1
  const { status, checks } = await health()
  expect([status, checks['configuration']!.ok]).toEqual(['degraded', false])
  for (const said of [checks['configuration']!.reason, gate.stderr.join('\n'), JSON.stringify(ledgerLines(gate).at(-1))])
    expect(said).toMatch(new RegExp(`fairlead\\.toml:${line}.*gate\\.drain`))
  await change(gate, { upstreams })
  expect((await health()).status).toBe('ok')
})

test('principals and rules change for sessions that are open; who was removed is nobody, and hears nothing more', async () => {
  const hash = (token: string): string => `token_sha256 = "${tokenHash(token)}"`
  const rule = (who: string, tools: string): string => `[[gate.rules]]\nprincipals = [${who}]\nupstreams = ["*"]\ntools = [${tools}]\n`
  const upstreams = { a: told('A') }
  const gate = await gateFor({
    upstreams,
    access: `[gate.principals.ann]\n${hash('ann')}\n[gate.principals.bob]\n${hash('bob')}\n${rule('"*"', '"who"')}`,
  })
  const url = gate.url('a')
  const ann = await raw.openSession(url, { token: 'ann' })
  const bob = await openSession(url, { token: 'bob' })
  const stream = await listen(url, { authorization: 'Bearer bob', 'mcp-session-id': bob })
  expect((await (await ann.call(1, 'pid')).answer()).error?.message).toMatch(/no rule lets ann/)
  await change(gate, {
    upstreams,
    access: `[gate.principals.ann]\n${hash('ann')}\n[gate.principals.eve]\n${hash('eve')}\n${rule('"*"', '"pid"')}`,
  })
  expect(raw.textOf(await (await ann.call(2, 'pid')).answer())).toMatch(/^\d+$/)
  expect((await (await ann.call(3, 'who')).answer()).error?.message).toMatch(/no rule lets ann/)
  expect((await send(url, '{}', { token: 'bob', session: bob })).status).toBe(401)
  await until('the stream of bob ends', () => stream.isEnded())
  await openSession(url, { token: 'eve' })
})

describe.each(eras)('%s', (era) => {
  test('pins, limits and a needed yes hold for what a reload brought, at the upstream and at all of them', async () => {
    const [far, other] = [listingServer([tool('read'), tool('write')]), listingServer([tool('read', 'Reads, and more'), tool('write')])]
    const settings = 'approval_by = "machine"\napproval_timeout = "1s"\n'
    const gate = await gateFor({ upstreams: { a: far }, settings })
    let id = 0
    const [one, ofAll] = [await raw.openSession(gate.url('a')), await raw.openSession(all(gate))]
    const at = (url: string, session: raw.RawSession, name: string) =>
      era === 'legacy' ? session.call(++id, name, {}) : raw.modernCall(url, ++id, name, {})
    const errors = async (name: string): Promise<readonly unknown[]> =>
      (
        await Promise.all([at(gate.url('a'), one, name), at(all(gate), ofAll, `a__${name}`)].map(async (reply) => (await reply).answer()))
      ).map(({ error }) => (error?.data as { code?: string } | undefined)?.code ?? error?.message)
    for (const name of ['read', 'write']) expect(await errors(name)).toEqual([undefined, undefined])
    await change(gate, { upstreams: { a: other }, settings })
    expect(await errors('read')).toEqual(['gate.quarantined', 'gate.quarantined'])
    expect(await errors('write')).toEqual([undefined, undefined])
    await change(gate, { upstreams: { a: { ...far, more: `pins = { write = "${'0'.repeat(64)}" }` } }, settings })
    expect(await errors('read')).toEqual([undefined, undefined])
    expect(await errors('write')).toEqual(['gate.quarantined', 'gate.quarantined'])
    expect(other.received('tools/call').filter(({ params }) => (params as { name: string }).name === 'read')).toEqual([])
    await change(gate, { upstreams: { a: { ...far, more: 'approve = ["write"]' } }, settings })
    for (const error of await errors('write')) expect(error).toMatch(/approv|yes/)
    await change(gate, { upstreams: { a: far }, settings: `${settings}limits = [{ calls_per_minute = 1, burst = 1, tools = ["read"] }]\n` })
    expect((await errors('read')).filter((error) => error === 'gate.limited')).toHaveLength(1)
  })
})

test('SIGHUP alone makes it look again: a credential that was rotated starts its server anew, and what needs a new start is named', async () => {
  const secret = join(temporaryFolder(), 'secret')
  writeFileSync(secret, 'one', { mode: 0o600 })
  const upstreams = { a: told('A', `secrets = { SECRET = { file = "${secret}" } }`), b: told('B') }
  const gate = await gateFor({ upstreams })
  const call = await caller(gate, 'legacy', ['a', 'b'])
  const pid = raw.textOf(await call('b', 'pid'))
  expect(raw.textOf(await call('a', 'secret'))).toBe('one')
  writeFileSync(secret, 'two', { mode: 0o600 })
  gate.process.kill('SIGHUP')
  await until('the server has it', async () => raw.textOf(await call('a', 'secret')) === 'two')
  expect(raw.textOf(await call('b', 'pid'))).toBe(pid)
  await change(gate, { upstreams, settings: 'max_sessions = 7' })
  await until('it is named', () => gate.stderr.join('\n').includes('gate.max_sessions'))
})
