// A server that hangs harms nobody but its own callers, and even they get an answer in time.
import { rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { isRunning } from '../../src/base/supervise/processes.fixture.ts'
import { later } from '../kit/cleanup.ts'
import {
  type RunningGate,
  answeredWithin,
  call,
  eras,
  gateFor,
  initializeParams,
  modern,
  openSession,
  post,
  unrulyServer,
  servers,
  textOf,
  until,
} from './bed.ts'

const timeoutMs = 700
const more = `request_timeout = "${timeoutMs}ms"`

async function medianMs(gate: RunningGate, session: string): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < 40; i++) {
    const from = performance.now()
    await call(gate.url('well'), 'echo', { text: 'x' }, { session })
    times.push(performance.now() - from)
  }
  return times.sort((a, b) => a - b)[20]!
}

/** A TCP port that takes connections and never says anything. */
async function mute(): Promise<string> {
  const sockets = new Set<{ destroy(): void }>()
  const server = createServer((socket) => void sockets.add(socket.on('error', () => {}))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  later(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
}

test('the answers of a well server come as fast beside servers that hang in every way', async () => {
  const stopped = unrulyServer('hang-calls')
  const gate = await gateFor({
    upstreams: {
      well: { command: unrulyServer().command },
      silent: { command: unrulyServer('hang-initialize').command },
      deaf: { command: unrulyServer('stops-reading').command },
      stopped: { command: stopped.command },
      mute: { url: await mute() },
    },
  })
  const session = await openSession(gate.url('well'))
  await medianMs(gate, session)
  const before = await medianMs(gate, session)
  const hanging = new AbortController()
  const ignore = (): void => {}
  for (const name of ['silent', 'deaf', 'mute'])
    for (let i = 0; i < 8; i++) {
      post(gate.url(name), 'initialize', initializeParams, { signal: hanging.signal }).catch(ignore)
      modern(gate.url(name), 'tools/call', { name: 'echo', arguments: { text: 'y'.repeat(100_000) } }, { signal: hanging.signal }).catch(
        ignore,
      )
    }
  const stuck = await openSession(gate.url('stopped'))
  process.kill(stopped.pids()[0]!, 'SIGSTOP')
  for (let i = 0; i < 20; i++)
    call(gate.url('stopped'), 'echo', { text: 'z'.repeat(100_000) }, { session: stuck, signal: hanging.signal }).catch(ignore)
  const after = await medianMs(gate, session)
  hanging.abort()
  expect(after).toBeLessThan(before * 4 + 20)
})

describe.each(eras)('%s', (era) => {
  const ask = (gate: RunningGate, name: string) =>
    era === 'legacy'
      ? post(gate.url(name), 'initialize', initializeParams)
      : modern(gate.url(name), 'tools/call', { name: 'echo', arguments: { text: 'x' } })

  test.each(['hang-initialize', 'stops-reading'])('a child that %s: an answer at the time-out, and the child is stopped', async (word) => {
    const far = unrulyServer(word)
    const gate = await gateFor({ upstreams: { up: { command: far.command, more } } })
    const from = performance.now()
    const { body } = await ask(gate, 'up')
    expect(['gate.timed_out', 'gate.silent', 'gate.tools_unlisted']).toContain(body.error!.data!['code'])
    if (era === 'modern') expect(body.error!.data!['sent']).toBe(false) // its call waited for the list of tools
    expect(performance.now() - from).toBeLessThan(timeoutMs + 1_500)
    const starts = era === 'legacy' ? 1 : 2 // a modern client's server is first asked what it speaks
    await until('every child is stopped', () => far.starts() === starts && !far.pids().some(isRunning))
    expect(servers(gate)).toEqual([])
  })

  test('a port that takes connections and says nothing: an answer at the time-out', async () => {
    const gate = await gateFor({ upstreams: { up: { url: await mute(), more } } })
    const { body } = await ask(gate, 'up')
    expect(['gate.timed_out', 'gate.silent', 'gate.tools_unlisted']).toContain(body.error!.data!['code'])
    if (era === 'modern') expect(body.error!.data!['sent']).toBe(false) // its call waited for the list of tools
  })
})

test('a call that hangs is given up and cancelled at the server; its session goes on, and its late answer is for nobody', async () => {
  const far = unrulyServer('late=1200')
  const gate = await gateFor({ upstreams: { up: { command: far.command, more } } })
  const session = await openSession(gate.url('up'))
  const first = await call(gate.url('up'), 'echo', { text: 'first' }, { session })
  expect(first.body.error).toMatchObject({ data: { code: 'gate.timed_out', sent: true } })
  await until('it was cancelled', () => far.notes().some(({ method }) => method === 'notifications/cancelled'))
  const next = await Promise.all([
    post(gate.url('up'), 'tools/list', {}, { session }),
    call(gate.url('up'), 'echo', { text: 'second' }, { session }),
  ])
  expect(next[0].body.result).toHaveProperty('tools')
  for (const { text } of next) expect(text).not.toContain('first')
  expect(far.callsOf('echo')).toBe(2)
  expect(servers(gate)).toEqual(far.pids())
})

test('a child whose next life hangs while it is told what the client had said does not hold the session for ever', async () => {
  const far = unrulyServer()
  const gate = await gateFor({ upstreams: { up: { command: far.command, more } } })
  const session = await openSession(gate.url('up'))
  await post(gate.url('up'), 'resources/subscribe', { uri: 'test://a' }, { session })
  writeFileSync(`${far.log}.words`, 'hang-initialize')
  process.kill(far.pids()[0]!, 'SIGKILL')
  await until('the gate has noticed', () => gate.stderr.some((line) => line.includes('supervise.child.ended')))
  expect((await call(gate.url('up'), 'echo', { text: 'x' }, { session })).body.error).toBeDefined()
  rmSync(`${far.log}.words`)
  await answeredWithin(5_000, async () => expect(textOf(await call(gate.url('up'), 'echo', { text: 'back' }, { session }))).toBe('back'))
})

test('a gate with hung servers ends when it is told to', async () => {
  const far = unrulyServer('hang-initialize')
  const relapsing = unrulyServer()
  const upstreams = { up: { command: far.command }, relapsing: { command: relapsing.command } }
  const gate = await gateFor({ upstreams, settings: 'drain = "200ms"\n' })
  const session = await openSession(gate.url('relapsing'))
  writeFileSync(`${relapsing.log}.words`, 'hang-initialize')
  process.kill(relapsing.pids()[0]!, 'SIGKILL')
  await until('the gate has noticed', () => gate.stderr.some((line) => line.includes('supervise.child.ended')))
  const asked = [
    post(gate.url('up'), 'initialize', initializeParams),
    modern(gate.url('up'), 'tools/list', {}),
    call(gate.url('relapsing'), 'echo', { text: 'x' }, { session }),
  ].map((answer) => answer.catch(() => {}))
  const asksOf = (server: typeof far): number => server.notes().filter(({ method }) => method !== undefined).length
  await until('the servers were asked', () => asksOf(far) >= 2 && relapsing.starts() === 2)
  const from = performance.now()
  const ended = once(gate.process, 'exit')
  gate.process.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
  expect(performance.now() - from).toBeLessThan(10_000)
  await Promise.all(asked)
  expect([...far.pids(), ...relapsing.pids()].filter(isRunning)).toEqual([])
})
