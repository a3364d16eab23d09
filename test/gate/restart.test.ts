// The gate itself killed, stopped and started again: sessions go on, no child outlives it, no running call is lost, and nobody else can take its place unseen.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fixtureCommand } from '../kit/fixture/process.ts'
import { descendants, isRunning } from '../../src/base/supervise/processes.fixture.ts'
import {
  type RunningGate,
  call,
  eras,
  gateFor,
  ledgerLines,
  modern,
  openSession,
  post,
  unrulyServer,
  sdkClient,
  sdkText,
  servers,
  textOf,
  until,
} from './bed.ts'
import { fixtureOn } from './far-ends.ts'
import { main } from '../kit/program.ts'

/** Kills the gate with all that it could do about it, and starts it again on the same port and folder. */
async function killedAndStarted(gate: RunningGate, upstreams: Parameters<typeof gateFor>[0]['upstreams']): Promise<RunningGate> {
  const below = descendants(gate.process.pid!)
  expect(below.length).toBeGreaterThan(0)
  await gate.stop('SIGKILL')
  await until('no child of the killed gate is left', () => !below.some(isRunning), 3_000)
  return gateFor({ upstreams, port: gate.port, folder: gate.folder })
}

test.each(eras)('a %s SDK client does not notice that the gate was killed: stdio and HTTP', async (era) => {
  const far = await fixtureOn()
  const upstreams = { child: { command: fixtureCommand }, remote: { url: far.url } }
  const gate = await gateFor({ upstreams })
  const clients = await Promise.all(['child', 'remote'].map((name) => sdkClient(gate.url(name), era)))
  for (const client of clients) expect(await sdkText(client, 'echo', { text: 'before' })).toBe('before')
  await killedAndStarted(gate, upstreams)
  for (const client of clients) expect(await sdkText(client, 'echo', { text: 'after' })).toBe('after')
})

test('a session of the same id goes on: its child is opened as the client had it, its HTTP session is continued', async () => {
  const far = await fixtureOn()
  const child = unrulyServer()
  const upstreams = { child: { command: child.command, more: 'suspicious_tools = "report"' }, remote: { url: far.url } } // both have an echo
  const gate = await gateFor({ upstreams })
  const session = await openSession(gate.url('child'))
  await post(gate.url('child'), 'resources/subscribe', { uri: 'test://a' }, { session })
  const remote = await openSession(gate.url('remote'))
  const sessionSeen = async (): Promise<unknown> =>
    (JSON.parse(textOf(await call(gate.url('remote'), 'seen', {}, { session: remote }))!) as { headers: Record<string, string> }).headers[
      'mcp-session-id'
    ]
  const before = await sessionSeen()
  await killedAndStarted(gate, upstreams)
  expect(textOf(await call(gate.url('child'), 'echo', { text: 'on' }, { session }))).toBe('on')
  expect(child.notes().filter(({ method }) => method === 'initialize')).toHaveLength(2)
  expect(child.notes().filter(({ method }) => method === 'resources/subscribe')).toHaveLength(2)
  expect(await sessionSeen()).toBe(before)
  expect(textOf(await call(gate.url('child'), 'echo', { text: 'x' }, { session: 'A'.repeat(22) }))).toBeUndefined()
})

test('attack 29: the record of a killed gate is whole, and shows the call that never ended', async () => {
  const far = unrulyServer()
  const upstreams = { up: { command: far.command } }
  const gate = await gateFor({ upstreams })
  const session = await openSession(gate.url('up'))
  await call(gate.url('up'), 'echo', { text: 'x' }, { session })
  const open = call(gate.url('up'), 'hang', {}, { session }).catch((error: unknown) => error)
  await until('the call is there', () => far.callsOf('hang') === 1)
  await killedAndStarted(gate, upstreams)
  expect(await open).toBeInstanceOf(Error)
  const lines = ledgerLines(gate)
  const begun = lines.filter(({ event }) => event === 'call.begin')
  const ended = new Set(lines.filter(({ event }) => event === 'call.end').map(({ begin }) => begin))
  expect(begun.map(({ seq, name }) => [name, ended.has(seq)])).toEqual([
    ['echo', true],
    ['hang', false],
  ])
  expect(far.callsOf('hang')).toBe(1)
})

test('attack 31: SIGTERM: what runs is answered first, what is new is refused, and nothing is left', async () => {
  const far = unrulyServer('late=700')
  const gate = await gateFor({ upstreams: { up: { command: far.command } } })
  const session = await openSession(gate.url('up'))
  const running = [
    call(gate.url('up'), 'echo', { text: 'legacy' }, { session }),
    modern(gate.url('up'), 'tools/call', { name: 'echo', arguments: { text: 'modern' } }),
  ]
  await until('both calls are there', () => far.callsOf('echo') === 2)
  const below = descendants(gate.process.pid!)
  const ended = once(gate.process, 'exit')
  gate.process.kill('SIGTERM')
  await until('it drains', async () => (await ready(gate)) === 503)
  expect((await call(gate.url('up'), 'echo', { text: 'new' }, { session })).body.error).toMatchObject({
    data: { code: 'gate.stopping', sent: false },
  })
  expect((await Promise.all(running)).map(textOf)).toEqual(['legacy', 'modern'])
  expect(await ended).toEqual([0, null])
  expect(below.filter(isRunning)).toEqual([])
  expect(far.callsOf('echo')).toBe(2)
  expect(
    ledgerLines(gate)
      .filter(({ event }) => event === 'call.end')
      .map(({ outcome }) => outcome),
  ).toEqual(['ok', 'ok'])
})

test('SIGTERM with a call that never ends waits no longer than it may', async () => {
  const far = unrulyServer()
  const gate = await gateFor({ upstreams: { up: { command: far.command } }, settings: 'drain = "300ms"\n' })
  const session = await openSession(gate.url('up'))
  const open = call(gate.url('up'), 'hang', {}, { session }).catch((error: unknown) => error)
  await until('the call is there', () => far.callsOf('hang') === 1)
  const ended = once(gate.process, 'exit')
  const from = performance.now()
  gate.process.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
  expect(performance.now() - from).toBeLessThan(5_000)
  await open
  expect(far.pids().filter(isRunning)).toEqual([])
})

async function ready(gate: RunningGate): Promise<number> {
  return (await fetch(`http://127.0.0.1:${gate.port}/readyz`)).status
}

/** Runs `gate serve` to its end, and what it said. */
async function serve(config: string): Promise<{ exitCode: number; stderr: string }> {
  const child = spawn(process.execPath, [main, 'gate', 'serve', '--config', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  const [stderr, [exitCode]] = await Promise.all([child.stderr.toArray(), once(child, 'exit') as Promise<[number]>])
  return { exitCode, stderr: Buffer.concat(stderr as Buffer[]).toString('utf8') }
}

test('a second gate on the same folder, and a busy port, are told in words', async () => {
  const gate = await gateFor({ upstreams: {} })
  const second = await serve(join(gate.folder, 'fairlead.toml'))
  expect(second.exitCode).toBe(1)
  expect(second.stderr).toContain(`another process is the writer of ${gate.folder}/state`)
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  await expect(gateFor({ upstreams: {}, port })).rejects.toThrow(`the gate cannot listen on 127.0.0.1:${port}: the port is busy`)
  holder.close()
  expect(servers(gate)).toEqual([])
})
