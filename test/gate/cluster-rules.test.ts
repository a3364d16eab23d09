// Two gates of one cluster are one as to what may be called: limits, approvals and pinned tools hold across them, and a call that needs none of it costs the cluster nothing.
import { execFile } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type NatsConnection, connect } from '@nats-io/transport-node'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { cleanUp, keep, later } from '../kit/cleanup.ts'
import { main } from '../kit/program.ts'
import { type NatsCluster, hasNats, startNats } from '../kit/nats.ts'
import * as raw from '../kit/raw-client.ts'
import {
  type RunningGate,
  type UnrulyServer,
  call,
  gateFor,
  initializeParams,
  modern,
  openSession,
  post,
  send,
  temporaryFolder,
  textOf,
  unrulyServer,
  until,
} from './bed.ts'
import { type ListingServer, approve, listingServer, tool } from './doors.ts'

let nats: NatsCluster
let far: NatsConnection
let gates: readonly [RunningGate, RunningGate]
let child: UnrulyServer
let lists: readonly [ListingServer, ListingServer]
let session: string

beforeAll(async () => {
  if (!hasNats) return
  nats = await startNats()
  far = await connect({ servers: [...nats.urls] })
  later(() => far.close())
  child = unrulyServer()
  lists = [listingServer([tool('read')]), listingServer([tool('read', 'Reads, and tells others')])]
  const more = 'suspicious_tools = "report"\n'
  const limits = `limits = [
    { upstreams = ["counted"], tools = ["echo"], calls_per_minute = 30 },
    { upstreams = ["counted"], tools = ["hang"], concurrent = 2 },
    { upstreams = ["busy"], per = "principal", calls_per_minute = 60000, bytes_per_minute = 600000000, concurrent = 64 },
  ]\n`
  const started = lists.map((list) =>
    gateFor({
      cluster: nats.urls,
      settings: limits,
      upstreams: {
        child: { command: child.command, more: `${more}approve = ["pid"]\nidle = "2s"` },
        ...Object.fromEntries(['counted', 'busy', 'free'].map((name) => [name, { command: child.command, more }])),
        listed: { command: list.command },
      },
    }),
  )
  gates = (await Promise.all(started)) as unknown as typeof gates
  session = await openSession(gates[0].url('child'))
  keep()
}, 60_000)
beforeEach(({ skip }) => {
  if (!hasNats) skip('there is no nats-server here')
})
afterAll(cleanUp)

const configOf = (at: 0 | 1): string => join(gates[at].folder, 'fairlead.toml')

async function waitingAt(at: 0 | 1): Promise<string> {
  let id: string | undefined
  await until('a call waits', async () => (id = /^call (\S+)$/m.exec((await approve(configOf(at), [])).stdout)?.[1]) !== undefined)
  return id!
}

test('so many calls a minute, at both gates together', async () => {
  const own = await openSession(gates[0].url('counted'))
  const before = child.callsOf('echo')
  const fromMs = performance.now()
  const tried = await Promise.all(
    Array.from({ length: 80 }, (_, at) => call(gates[at % 2]!.url('counted'), 'echo', { text: 'x' }, { session: own })),
  )
  const answered = tried.filter((one) => textOf(one) === 'x').length
  expect(answered).toBeGreaterThanOrEqual(30)
  expect(answered).toBeLessThanOrEqual(30 + Math.ceil((performance.now() - fromMs) / 2_000))
  expect(child.callsOf('echo') - before).toBe(answered)
  expect(tried.find(({ body }) => body.error)?.body.error).toMatchObject({
    message: expect.stringContaining('for 30 calls a minute: try again in') as string,
    data: { code: 'gate.limited' },
  })
})

test('so many calls at once, at both gates together, and what ends at one may run at the other', async () => {
  const own = await openSession(gates[0].url('counted'))
  const before = child.callsOf('hang')
  const stop = new AbortController()
  later(() => stop.abort())
  const hang = (at: 0 | 1, signal?: AbortSignal) =>
    call(gates[at].url('counted'), 'hang', {}, { session: own, ...(signal ? { signal } : {}) })
  const held = [hang(0, stop.signal), hang(0, stop.signal)].map((one) => one.catch(() => undefined))
  await until('two run', () => child.callsOf('hang') === before + 2)
  expect((await hang(1)).body.error?.message).toContain('for 2 at once: try again in 1 s')
  await post(gates[0].url('counted'), 'notifications/cancelled', { requestId: 'none' }, { session: own })
  stop.abort()
  await Promise.all(held)
  await send(gates[0].url('counted'), undefined, { session: own, httpMethod: 'DELETE' })
  const again = await openSession(gates[1].url('counted'))
  const last = new AbortController()
  later(() => last.abort())
  await until('one runs at the other gate', async () => {
    const trying = call(gates[1].url('counted'), 'hang', {}, { session: again, signal: last.signal }).catch(() => undefined)
    await Promise.race([trying, until('it runs', () => child.callsOf('hang') > before + 2, 1_000).catch(() => {})])
    return child.callsOf('hang') > before + 2
  })
})

test('a yes that is given at one gate lets the call go on that waits at the other; for a session it holds at both', async () => {
  const before = child.callsOf('pid')
  const waiting = call(gates[0].url('child'), 'pid', {}, { session })
  const id = await waitingAt(1)
  expect(await approve(configOf(1), [id, '--session'])).toMatchObject({ exitCode: 0 })
  expect(textOf(await waiting)).toMatch(/^\d+$/)
  expect((await approve(configOf(0), [id])).stderr).toContain(`no call ${id} waits`)
  for (const gate of gates) expect(textOf(await call(gate.url('child'), 'pid', {}, { session }))).toMatch(/^\d+$/)
  expect(child.callsOf('pid') - before).toBe(3)
})

test('a no at one gate refuses it at the other; of two who decide at once, one does', async () => {
  const before = child.callsOf('pid')
  const other = await openSession(gates[0].url('child'))
  const denied = call(gates[0].url('child'), 'pid', { at: 1 }, { session: other })
  await approve(configOf(1), [await waitingAt(1), '--deny'])
  expect((await denied).body.error?.message).toContain('it was denied')
  const contended = call(gates[0].url('child'), 'pid', { at: 2 }, { session: other })
  const id = await waitingAt(1)
  const said = await Promise.all([approve(configOf(0), [id]), approve(configOf(1), [id, '--deny'])])
  expect(said.map(({ exitCode }) => exitCode).toSorted()).toEqual([0, 1])
  const isRun = textOf(await contended) !== undefined
  expect(isRun).toBe(said[0].exitCode === 0)
  expect(child.callsOf('pid') - before).toBe(isRun ? 1 : 0)
})

test('a modern client that was asked comes back to another gate, once', async () => {
  const before = child.callsOf('pid')
  const params = { name: 'pid', arguments: { modern: true } }
  const canBeAsked = { capabilities: { elicitation: {} } }
  const asked = await modern(gates[0].url('child'), 'tools/call', params, canBeAsked)
  const requestState = asked.body.result?.['requestState']
  expect(requestState).toMatch(/^fairlead-approval\./)
  const yes = { 'fairlead-approval': { action: 'accept', content: { approve: true } } }
  const back = { ...params, requestState, inputResponses: yes }
  const answers = await Promise.all([1, 1].map((at) => modern(gates[at]!.url('child'), 'tools/call', back, canBeAsked)))
  expect(answers.filter((one) => textOf(one) !== undefined)).toHaveLength(1)
  const late = await modern(gates[0].url('child'), 'tools/call', back, canBeAsked)
  for (const { body } of [late, answers.find((one) => textOf(one) === undefined)!])
    expect(body.error?.message).toContain('not the call that was asked about')
  expect(child.callsOf('pid') - before).toBe(1)
})

test('a legacy client that is asked at one gate may answer at the other, and cancel there', async () => {
  const before = child.callsOf('pid')
  const opened = await post(gates[0].url('child'), 'initialize', { ...initializeParams, capabilities: { elicitation: {} } })
  const own = opened.headers.get('mcp-session-id')!
  const headers = { 'mcp-session-id': own }
  const ask = async (id: number) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'pid', arguments: { legacy: id } } })
    const reply = await raw.send(gates[0].url('child'), { body, headers })
    return { reply, question: (await reply.next())! }
  }
  const answer = (message: object) => send(gates[1].url('child'), JSON.stringify({ jsonrpc: '2.0', ...message }), { session: own })
  const first = await ask(901)
  await answer({ id: first.question.id, result: { action: 'accept', content: { approve: true } } })
  expect((await first.reply.answer()).result).toMatchObject({ content: [{ text: expect.stringMatching(/^\d+$/) as string }] })
  const second = await ask(902)
  await answer({ method: 'notifications/cancelled', params: { requestId: 902 } })
  await until('it waits no longer', async () => (await approve(configOf(0), [])).stdout === 'nothing waits\n')
  second.reply.cut()
  expect(child.callsOf('pid') - before).toBe(1)
})

test('a tool is pinned for both gates: another definition at one is held back there, and what is accepted holds at both', async () => {
  const sessions = await Promise.all(gates.map((gate) => openSession(gate.url('listed'))))
  const listed = async (at: 0 | 1) => {
    const { body } = await post(gates[at].url('listed'), 'tools/list', {}, { session: sessions[at]! })
    return (body.result!['tools'] as { name: string }[]).map(({ name }) => name)
  }
  expect(await listed(0)).toEqual(['read'])
  expect(await listed(1)).toEqual([])
  expect((await call(gates[1].url('listed'), 'read', {}, { session: sessions[1]! })).body.error).toMatchObject({
    data: { code: 'gate.quarantined' },
  })
  expect(lists[1].received('tools/call')).toHaveLength(0)
  expect(await approve(configOf(1), ['listed', 'read', '--yes'])).toMatchObject({ exitCode: 0 })
  await until('the second gate shows it', async () => (await listed(1)).length === 1)
  await until('the first gate holds its own back', async () => {
    const { body } = await call(gates[0].url('listed'), 'read', {}, { session: sessions[0]! })
    return (body.error?.data as { code?: string } | undefined)?.code === 'gate.quarantined'
  })
})

test('the process of a session that goes on elsewhere ends when it is idle; what ran in it was not run again', async () => {
  const own = await openSession(gates[0].url('child'))
  const pids = new Set<number>()
  const before = child.callsOf('echo')
  const seen = child.notes().length
  for (const gate of [gates[0], gates[1], gates[1]])
    expect(textOf(await call(gate.url('child'), 'echo', { text: 'x' }, { session: own }))).toBe('x')
  for (const { pid, name } of child.notes().slice(seen)) if (name === 'echo') pids.add(pid)
  expect(pids.size).toBe(2)
  expect(child.callsOf('echo') - before).toBe(3)
  const isAlive = (pid: number): boolean => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }
  const [first] = pids
  await until('the first process has ended', async () => {
    await call(gates[1].url('child'), 'echo', { text: 'x' }, { session: own })
    return !isAlive(first!)
  })
})

test('of calls the cluster hears nothing; of calls with limits, a few messages for hundreds', async () => {
  const subjects: string[] = []
  const own = await Promise.all(['free', 'busy'].map((name) => openSession(gates[0].url(name))))
  for (const [at, name] of ['free', 'busy'].entries()) await call(gates[0].url(name), 'echo', { text: 'x' }, { session: own[at]! })
  const heard = far.subscribe('>', { callback: (_, { subject }) => void subjects.push(subject) })
  later(() => heard.unsubscribe())
  await far.flush()
  const during = async (name: string, at: number): Promise<string[]> => {
    subjects.length = 0
    for (let calls = 0; calls < 300; calls++) await call(gates[0].url(name), 'echo', { text: 'x' }, { session: own[at]! })
    await far.flush()
    // What gates say to each other of themselves, and what waits for changes, goes on whether there are calls or not.
    return subjects.filter((subject) => /KV[._]fairlead-gate-|^\$KV\.fairlead-gate-/.test(subject) && !/gate-gates|CONSUMER/.test(subject))
  }
  // Sessions of other tests fall asleep, and what their limits took is given back, whenever it is time.
  const isOthers = (subject: string): boolean =>
    subject.includes('gate-limits') || (subject.startsWith('$KV.fairlead-gate-sessions.') && !subject.endsWith(own[0]!))
  expect((await during('free', 0)).filter((subject) => !isOthers(subject))).toEqual([])
  const limited = await during('busy', 1)
  expect(limited.length).toBeLessThan(50)
  expect(limited.filter((subject) => !subject.includes('gate-limits') && !subject.startsWith('$KV.fairlead-gate-sessions.'))).toEqual([])
})

test('fairlead status shows the cluster: how many gates, which servers, and one that is away', async () => {
  const runtime = temporaryFolder()
  mkdirSync(join(runtime, 'fairlead'))
  symlinkSync(join(gates[0].folder, 'run'), join(runtime, 'fairlead', 'gate'))
  const env = { ...process.env, HOME: runtime, XDG_RUNTIME_DIR: runtime }
  const look = (): Promise<string> => new Promise((done) => execFile(process.execPath, [main, 'status'], { env }, (_, said) => done(said)))
  expect(await look()).toMatch(/cluster\s+.*2 gates; n\d leads, n\d is current, n\d is current/)
  const leader = await nats.leaderOf('KV_fairlead-gate-sessions')
  const gone = (leader + 1) % 3
  await nats.kill(gone)
  try {
    await until('it is seen', async () => (await look()).includes(`n${gone} is away`), 15_000)
  } finally {
    nats.start(gone)
  }
})

test(
  'without a majority nobody is asked and nothing approved, with the reason; it all returns by itself',
  { timeout: 120_000 },
  async ({ skip }) => {
    skip(process.env['FAIRLEAD_LONG'] === undefined, 'not applicable: takes minutes; FAIRLEAD_LONG=1 runs it')
    const own = await openSession(gates[0].url('child'))
    const before = child.callsOf('pid')
    // By a client that waits for longer than those of the other tests.
    const waiting = fetch(gates[0].url('child'), {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-session-id': own },
      body: JSON.stringify({ jsonrpc: '2.0', id: 903, method: 'tools/call', params: { name: 'pid', arguments: { at: 'before' } } }),
    }).then((reply) => reply.text())
    const id = await waitingAt(1)
    await Promise.all([0, 1].map((at) => nats.kill(at)))
    expect(await approve(configOf(1), [id])).toMatchObject({
      exitCode: 5,
      stderr: expect.stringContaining('shared state cannot be reached') as string,
    })
    const refused = await call(gates[0].url('child'), 'pid', { at: 'meanwhile' }, { session: own })
    expect(refused.body.error?.message).toMatch(/nobody can be asked \(shared state cannot be reached/)
    expect(child.callsOf('pid')).toBe(before)
    for (const at of [0, 1]) nats.start(at)
    await until('it can be approved again', async () => (await approve(configOf(1), [id])).exitCode === 0, 60_000)
    expect(await waiting).toMatch(/"text":"\d+"/)
  },
)
