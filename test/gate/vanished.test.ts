// Clients that go away without a word: their servers are stopped, memory stays bounded, and who comes back goes on.
import { get } from 'node:http'
import { expect, test } from 'vitest'
import { descendants } from '../../src/base/supervise/processes.fixture.ts'
import {
  type RunningGate,
  call,
  gateFor,
  guardOf,
  initializeParams,
  modern,
  openSession,
  post,
  unrulyServer,
  residentBytes,
  send,
  servers,
  smallServer,
  textOf,
  until,
} from './bed.ts'

const many = process.env['FAIRLEAD_LONG'] ? 1_000 : 100
const atOnce = 10

async function openMany(gate: RunningGate, count: number): Promise<string[]> {
  const sessions: string[] = []
  let begun = 0
  const opener = async (): Promise<void> => {
    while (begun++ < count) sessions.push(await openSession(gate.url('up')))
  }
  await Promise.all(Array.from({ length: atOnce }, opener))
  return sessions
}

test(`${many} vanished clients leave no process and little memory; one that comes back goes on`, { timeout: 300_000 }, async () => {
  const gate = await gateFor({
    upstreams: { up: { command: smallServer, more: 'idle = "1s"' } },
    settings: 'max_sessions_per_principal = 2000\nmax_children = 2000\nmax_children_per_principal = 2000\n',
  })
  await openMany(gate, 5)
  const beforeBytes = residentBytes(gate.process.pid!)
  const sessions = await openMany(gate, many)
  expect(gate.stderr.filter((line) => line.includes('supervise.child.started'))).toHaveLength(many + 5)
  await until('every server is stopped', () => servers(gate).length === 0, 20_000)
  expect(descendants(gate.process.pid!)).toEqual([guardOf(gate)])
  expect(residentBytes(gate.process.pid!) - beforeBytes).toBeLessThan(many * 64_000 + (48 << 20))
  const back = await call(gate.url('up'), 'pid', {}, { session: sessions.at(-1)! })
  expect(servers(gate)).toEqual([Number(textOf(back))])
})

test('advisories CVE-2026-59951, CVE-2026-67430: servers that several sessions share, and those of stateless clients, are stopped as well', async () => {
  const far = unrulyServer()
  const more = 'idle = "1s"\nisolation = "principal"'
  const gate = await gateFor({ upstreams: { up: { command: far.command, more } } })
  await Promise.all([openSession(gate.url('up')), openSession(gate.url('up'))])
  expect(textOf(await modern(gate.url('up'), 'tools/call', { name: 'echo', arguments: { text: 'x' } }))).toBe('x')
  expect(servers(gate)).toHaveLength(2)
  await until('both are stopped', () => servers(gate).length === 0)
  expect(textOf(await modern(gate.url('up'), 'tools/call', { name: 'echo', arguments: { text: 'y' } }))).toBe('y')
})

test('a client that listens, or waits for an answer, is not idle', async () => {
  const gate = await gateFor({
    upstreams: {
      up: { command: smallServer, more: 'idle = "1s"' },
      slow: { command: unrulyServer('late=2500').command, more: 'idle = "1s"' },
    },
  })
  const session = await openSession(gate.url('up'))
  const stream = get(gate.url('up'), { headers: { accept: 'text/event-stream', 'mcp-session-id': session } })
  stream.on('error', () => {})
  const waiting = await openSession(gate.url('slow'))
  expect(textOf(await call(gate.url('slow'), 'echo', { text: 'late' }, { session: waiting }))).toBe('late')
  expect(servers(gate).length).toBeGreaterThanOrEqual(1)
  const [listening] = servers(gate)
  expect(textOf(await call(gate.url('up'), 'pid', {}, { session }))).toBe(String(listening))
  stream.destroy()
  await until('both are stopped', () => servers(gate).length === 0)
})

test('DELETE ends the session and its server at once', async () => {
  const gate = await gateFor({ upstreams: { up: { command: smallServer } } })
  const session = await openSession(gate.url('up'))
  expect((await send(gate.url('up'), undefined, { session, httpMethod: 'DELETE' })).status).toBe(200)
  await until('its server is stopped', () => servers(gate).length === 0)
  expect((await call(gate.url('up'), 'pid', {}, { session })).status).toBe(404)
})

test('sessions are bounded for all and for each principal, also when many open at once; what sleeps makes room', async () => {
  const settings = 'max_sessions = 6\nmax_sessions_per_principal = 4\n'
  const gate = await gateFor({
    upstreams: { up: { command: smallServer }, napping: { command: smallServer, more: 'idle = "1s"' } },
    settings,
  })
  const open = (name: string, token?: string) => post(gate.url(name), 'initialize', initializeParams, token === undefined ? {} : { token })
  const mine = await Promise.all(Array.from({ length: 10 }, () => open('up')))
  const refused = mine.filter(({ headers }) => headers.get('mcp-session-id') === null)
  expect(refused).toHaveLength(6)
  expect(refused[0]!.body.error).toMatchObject({ message: 'conformance has 4 sessions already', data: { code: 'gate.too_many_sessions' } })
  const others = await Promise.all(Array.from({ length: 4 }, () => open('napping', gate.token)))
  expect(others.filter(({ headers }) => headers.get('mcp-session-id'))).toHaveLength(2)
  expect(others.find(({ body }) => body.error)!.body.error!.message).toBe('there are 6 sessions already')
  await until('those that nap are stopped', () => servers(gate).length === 4)
  const late = await open('napping', gate.token)
  expect(late.headers.get('mcp-session-id')).not.toBeNull()
  const alive = await Promise.all(
    others
      .flatMap(({ headers }) => headers.get('mcp-session-id') ?? [])
      .map((session) => call(gate.url('napping'), 'pid', {}, { session, token: gate.token })),
  )
  expect(alive.map(({ status }) => status).sort()).toEqual([200, 404])
})
