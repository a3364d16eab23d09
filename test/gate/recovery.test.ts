// A server that ends under its clients: they go on as if nothing had been, except that a call that may have taken effect is never made twice.
import { writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fixtureCommand } from '../kit/fixture/process.ts'
import { isRunning } from '../../src/base/supervise/processes.fixture.ts'
import {
  type Era,
  type RunningGate,
  answeredWithin,
  call,
  eras,
  gateFor,
  initializeParams,
  listen,
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
import { fixtureOn, legacyOnly } from './far-ends.ts'

const recoveryMs = 2_000
const isolations = ['session', 'principal', 'shared'] as const

async function oneServer(gate: RunningGate): Promise<number> {
  const pids = servers(gate)
  expect(pids).toHaveLength(1)
  return pids[0]!
}

describe.each(isolations)('a killed child, isolation %s', (isolation) => {
  const start = (command: readonly string[]): Promise<RunningGate> =>
    gateFor({ upstreams: { up: { command, more: `isolation = "${isolation}"` } } })

  test.each(eras)('the same %s SDK client is answered within 2 s, whether the child or its group was killed', async (era: Era) => {
    const gate = await start(fixtureCommand)
    const client = await sdkClient(gate.url('up'), era)
    expect(await sdkText(client, 'echo', { text: 'before' })).toBe('before')
    for (const wholeGroup of [false, true]) {
      const pid = await oneServer(gate)
      process.kill(wholeGroup ? -pid : pid, 'SIGKILL')
      const { tookMs } = await answeredWithin(recoveryMs, async () =>
        expect(await sdkText(client, 'echo', { text: 'after' })).toBe('after'),
      )
      expect(tookMs).toBeLessThan(recoveryMs)
      await until('the killed one is gone', () => !isRunning(pid))
      expect(await oneServer(gate)).not.toBe(pid)
    }
  })

  test('a call that was open is answered with an error that says so, and was made once', async () => {
    const far = unrulyServer()
    const gate = await start(far.command)
    const session = await openSession(gate.url('up'))
    const legacy = call(gate.url('up'), 'hang', {}, { session })
    await until('the call is there', () => far.callsOf('hang') === 1)
    process.kill(far.notes().find(({ name }) => name === 'hang')!.pid, 'SIGKILL')
    const { body } = await legacy
    expect(body.error).toMatchObject({ data: { code: 'upstream.lost', sent: true } })
    expect(body.error!.message).toContain('unknown')
    const stateless = modern(gate.url('up'), 'tools/call', { name: 'hang', arguments: {} })
    await until('the second call is there', () => far.callsOf('hang') === 2)
    process.kill(far.notes().findLast(({ name }) => name === 'hang')!.pid, 'SIGKILL')
    expect((await stateless).body.error).toMatchObject({ data: { code: 'upstream.lost', sent: true } })
    expect(textOf(await call(gate.url('up'), 'echo', { text: 'on' }, { session }))).toBe('on')
    expect(textOf(await modern(gate.url('up'), 'tools/call', { name: 'echo', arguments: { text: 'on' } }))).toBe('on')
    expect(far.callsOf('hang')).toBe(2)
  })

  test.each(eras)(
    'a call that finds a server that cannot start was certainly not made, and that is what a %s client is told',
    async (era) => {
      const far = unrulyServer()
      const gate = await start(far.command)
      const session = era === 'legacy' ? await openSession(gate.url('up')) : undefined
      const echo = (text: string) =>
        session === undefined
          ? modern(gate.url('up'), 'tools/call', { name: 'echo', arguments: { text } })
          : call(gate.url('up'), 'echo', { text }, { session })
      expect(textOf(await echo('once'))).toBe('once')
      writeFileSync(`${far.log}.words`, 'dies')
      const pid = await oneServer(gate)
      process.kill(pid, 'SIGKILL')
      await until('the gate has noticed', () => gate.stderr.some((line) => line.includes('child.ended') && line.includes(`"pid":${pid},`)))
      const { error } = (await echo('twice')).body
      expect(error).toMatchObject({ data: { sent: false } })
      expect(error!.message).not.toContain('took effect')
      expect(far.callsOf('echo')).toBe(1)
    },
  )

  test('the next life is told what the client had said: initialize, log level, subscriptions', async () => {
    const far = unrulyServer()
    const gate = await start(far.command)
    const session = await openSession(gate.url('up'))
    await post(gate.url('up'), 'logging/setLevel', { level: 'warning' }, { session })
    for (const uri of ['test://a', 'test://b', 'test://c']) await post(gate.url('up'), 'resources/subscribe', { uri }, { session })
    await post(gate.url('up'), 'resources/unsubscribe', { uri: 'test://b' }, { session })
    const first = await oneServer(gate)
    process.kill(first, 'SIGKILL')
    await answeredWithin(recoveryMs, async () => expect(textOf(await call(gate.url('up'), 'echo', { text: 'x' }, { session }))).toBe('x'))
    const second = far.notes().filter(({ pid, method }) => pid !== first && method !== undefined)
    const told = second.map(({ method, uri }) => (uri ? `${method} ${uri}` : method))
    expect(told).toEqual([
      'initialize',
      'notifications/initialized',
      'logging/setLevel',
      'resources/subscribe test://a',
      'resources/subscribe test://c',
      'tools/list', // its tools are looked at before the first call
      'tools/call',
    ])
    expect(second[2]!.params).toEqual({ level: 'warning' })
    if (isolation === 'session') expect(second[0]!.params).toEqual(initializeParams)
  })

  test('a server that comes back with less ends the session with 404', async () => {
    const far = unrulyServer()
    const gate = await start(far.command)
    const session = await openSession(gate.url('up'))
    writeFileSync(`${far.log}.words`, 'no-logging')
    process.kill(await oneServer(gate), 'SIGKILL')
    await until('the gate has noticed', () => gate.stderr.some((line) => line.includes('supervise.child.ended')))
    const ended = await call(gate.url('up'), 'echo', { text: 'x' }, { session })
    expect(ended.status).toBe(404)
    expect(ended.body.error!.message).toContain('logging')
    expect((await call(gate.url('up'), 'echo', { text: 'x' }, { session })).status).toBe(404)
    expect(far.callsOf('echo')).toBe(0)
    expect(textOf(await call(gate.url('up'), 'echo', { text: 'new' }, { session: await openSession(gate.url('up')) }))).toBe('new')
  })
})

describe('a client that only listens', () => {
  const more = 'idle = "1s"'

  test.each(isolations)(
    'has its server opened again with its subscriptions, though it asks for nothing: isolation %s',
    async (isolation) => {
      const far = unrulyServer()
      const gate = await gateFor({ upstreams: { up: { command: far.command, more: `${more}\nisolation = "${isolation}"` } } })
      const session = await openSession(gate.url('up'))
      await post(gate.url('up'), 'resources/subscribe', { uri: 'test://a' }, { session })
      const stream = await listen(gate.url('up'), { 'mcp-session-id': session })
      process.kill(far.pids()[0]!, 'SIGKILL')
      await until('the next life has the subscription', () => far.notes().filter(({ uri }) => uri === 'test://a').length === 2)
      expect(stream.isEnded()).toBe(false)
    },
  )

  test('has its stream ended when the server comes back with less, so that it finds out', async () => {
    const far = unrulyServer()
    const gate = await gateFor({ upstreams: { up: { command: far.command, more } } })
    const session = await openSession(gate.url('up'))
    const stream = await listen(gate.url('up'), { 'mcp-session-id': session })
    writeFileSync(`${far.log}.words`, 'no-logging')
    process.kill(far.pids()[0]!, 'SIGKILL')
    await until('its stream has ended', () => stream.isEnded())
    expect((await call(gate.url('up'), 'echo', {}, { session })).status).toBe(404)
  })

  test('of the modern era has its stream ended in good order, and listens anew', async () => {
    const far = unrulyServer()
    const gate = await gateFor({ upstreams: { up: { command: far.command } } })
    const ask = () => modern(gate.url('up'), 'subscriptions/listen', { notifications: { resourceSubscriptions: ['test://a'] } })
    const listening = ask()
    await until('the server has the subscription', () => far.notes().some(({ uri }) => uri === 'test://a'))
    process.kill(servers(gate)[0]!, 'SIGKILL')
    expect((await listening).text).toContain('"result"')
    void ask().catch(() => {})
    await until('the next life has it too', () => far.notes().filter(({ uri }) => uri === 'test://a').length === 2)
  })
})

test.each(eras)(
  'attack 20: a server that dies at every start is not started in a loop: the %s client is told when the next try is',
  async (era) => {
    const far = unrulyServer('dies')
    const gate = await gateFor({ upstreams: { up: { command: far.command }, well: { command: unrulyServer().command } } })
    const attempt = () =>
      era === 'legacy' ? post(gate.url('up'), 'initialize', initializeParams) : modern(gate.url('up'), 'tools/list', {})
    const answers = []
    for (let i = 0; i < 60; i++) answers.push((await attempt()).body.error!)
    const resting = answers.filter(({ data }) => data?.['code'] === 'gate.resting')
    expect(resting.length).toBeGreaterThan(40)
    expect(resting[0]!.message).toMatch(/failed to start .*the next try is in \d+(\.\d)? s/)
    expect(far.starts()).toBeLessThan(15)
    expect(textOf(await call(gate.url('well'), 'echo', { text: 'x' }, { session: await openSession(gate.url('well')) }))).toBe('x')
  },
)

describe('a server over HTTP, restarted on its port', () => {
  test.each(eras)('the same %s SDK client is answered within 2 s', async (era) => {
    const first = await fixtureOn()
    const gate = await gateFor({ upstreams: { up: { url: first.url } } })
    const client = await sdkClient(gate.url('up'), era)
    expect(await sdkText(client, 'echo', { text: 'before' })).toBe('before')
    await first.kill()
    await expect(sdkText(client, 'echo', { text: 'down' })).rejects.toThrow(/ECONN|not there|failed to start/)
    await fixtureOn(first.port)
    await answeredWithin(recoveryMs, async () => expect(await sdkText(client, 'echo', { text: 'after' })).toBe('after'))
  })

  test('a call that was open is not made again', async () => {
    const first = await fixtureOn()
    const gate = await gateFor({ upstreams: { up: { url: first.url } } })
    const session = await openSession(gate.url('up'))
    const open = call(gate.url('up'), 'hang', {}, { session })
    await first.said(/^started/)
    await first.kill()
    expect((await open).body.error).toMatchObject({ data: { sent: true } })
    const second = await fixtureOn(first.port)
    await answeredWithin(recoveryMs, async () => expect(textOf(await call(gate.url('up'), 'echo', { text: 'on' }, { session }))).toBe('on'))
    expect(second.stderr.join('\n')).not.toContain('started')
  })

  test('a modern client of a server that speaks only the legacy era goes on as well', async () => {
    const far = await legacyOnly()
    const gate = await gateFor({ upstreams: { up: { url: far.url } } })
    expect(textOf(await modern(gate.url('up'), 'tools/call', { name: 'any', arguments: {} }))).toBe('1')
    far.forgetSessions()
    expect(textOf(await modern(gate.url('up'), 'tools/call', { name: 'any', arguments: {} }))).toBe('2')
  })
})
