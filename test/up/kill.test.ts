// Proves that whatever part of a node is killed, who waits for it is told, nothing is left behind, and the rest goes on; and that a node stops in good order.
import { type ChildProcess, spawn } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { commandOf, descendants, guardsOf, isRunning, until } from '../../src/base/supervise/processes.fixture.ts'
import { freePort } from '../kit/reach-bench.ts'
import { type RawSession, openSession, textOf } from '../kit/raw-client.ts'
import { later } from '../kit/cleanup.ts'
import {
  type Ports,
  type Up,
  bed,
  echoServer,
  finished,
  isListening,
  lineClient,
  orphans,
  portFlags,
  program,
  run,
  up,
  within,
} from './bed.ts'

const limitMs = 15_000
/** A snapshot of health takes so long here: time enough to kill something meanwhile. */
const slowMs = 1_500
/** With a process beside it that would stay when the server has gone. */
const server = ['/bin/sh', '-c', 'sleep 3600 & exec "$0" "$1"', ...echoServer]
const toml = `[operate.health]\ncpu_sample_ms = ${slowMs}\n[gate.upstreams.echo]\ncommand = ${JSON.stringify(server)}\n`
const slow = ['tools/call', { name: 'system_get_health_snapshot', arguments: {} }] as const
const quick = ['tools/call', { name: 'process_list', arguments: { limit: 1 } }] as const

async function freePorts(): Promise<Ports> {
  const [registry, peer, machine, gate] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
  return { registry, peer, machine, gate }
}

async function text(session: RawSession, name: string): Promise<string> {
  return textOf(await (await session.call(name, name)).answer())
}

/** The node's own processes of a kind, as /proc shows them. */
function servers({ pid }: Up): number[] {
  return descendants(pid).filter((each) => commandOf(each).includes('echo-server'))
}

describe('SIGKILL', () => {
  test('of mcp-connect, of a server, of the guard: the rest goes on', async () => {
    const place = bed(toml)
    const node = await up(place)
    const client = lineClient(place, node)
    await within(limitMs, 'initialize', client.initialize())
    const open = client.request(...slow)
    await within(limitMs, 'another call', client.request(...quick))
    client.process.kill('SIGKILL')
    await expect(within(limitMs, 'the end', open)).rejects.toThrow('the client ended without an answer')
    expect(await client.ended).toBe('SIGKILL')
    const next = lineClient(place, node)
    await within(limitMs, 'the next client', next.initialize())
    expect((await within(limitMs, 'its call', next.request(...quick))).result).toHaveProperty('structuredContent.total')

    const session = await openSession(node.url('echo'), { token: node.token })
    const pid = Number(await text(session, 'pid'))
    expect(servers(node)).toEqual([pid])
    const asleep = session.call('asleep', 'sleep').then((reply) => reply.answer())
    expect(await text(session, 'count')).toContain('"calls":3')
    process.kill(pid, 'SIGKILL')
    expect((await within(limitMs, 'an error', asleep)).error).toMatchObject({ data: { code: 'upstream.lost', sent: true } })
    const second = Number(await text(session, 'pid'))
    expect(second).not.toBe(pid)

    const [guard] = guardsOf(node.pid)
    process.kill(guard!, 'SIGKILL')
    await until('there is another guard', () => guardsOf(node.pid).some((each) => each !== guard))
    expect(Number(await text(session, 'pid'))).toBe(second)
    expect((await within(limitMs, 'a call', next.request(...quick))).result).toHaveProperty('structuredContent.total')
    const all = descendants(node.pid)
    await node.stop('SIGKILL')
    await until('nothing of it is left, as the new guard knew what the old one did', () => !all.some(isRunning), 3_000)
  })

  test('of the whole node: open requests are answered, no process is left after 3 s, and when it is back the same client and session go on', async () => {
    const place = bed(toml)
    const ports = await freePorts()
    const first = await up(place, ports)
    const client = lineClient(place, first)
    await within(limitMs, 'initialize', client.initialize())
    const session = await openSession(first.url('echo'), { token: first.token })
    await text(session, 'pid')
    const open = client.request(...slow)
    await within(limitMs, 'another call', client.request(...quick))
    const all = descendants(first.pid)
    expect(all.map((pid) => /fairlead-guard|sleep 3600|echo-server/.exec(commandOf(pid))?.[0]).sort()).toEqual([
      'echo-server',
      'fairlead-guard',
      'sleep 3600',
    ])
    await first.stop('SIGKILL')
    await until('nothing of it is left', () => !all.some(isRunning), 3_000)
    const from = performance.now()
    const second = await up(place, ports)
    expect(second.shown.peerId).toBe(first.shown.peerId)
    expect((await within(limitMs, 'the answer to the open request', open)).error).toMatchObject({
      code: -32000,
      message: expect.stringMatching(/\S/) as string,
    })
    expect(client.process.exitCode).toBeNull()
    expect((await within(limitMs, 'the same client', client.request(...quick))).result).toHaveProperty('structuredContent.total')
    expect(performance.now() - from).toBeLessThan(limitMs)
    expect(Number(await text(session, 'pid'))).toBe(servers(second)[0])
    expect(await second.stop('SIGTERM')).toMatchObject({ exitCode: 0 })
    const verified = await run(place, ['gate', 'ledger', 'verify'])
    expect(verified).toMatchObject({ exitCode: 0 })
  })

  test('of the whole node, which does not come back: the open request is answered when the session may no longer be resumed', async () => {
    const place = bed(`${toml}[reach.peer]\nkeep = "2s"\n`)
    const node = await up(place)
    const client = lineClient(place, node)
    await within(limitMs, 'initialize', client.initialize())
    const open = client.request(...slow)
    await within(limitMs, 'another call', client.request(...quick))
    await node.stop('SIGKILL')
    expect((await within(limitMs, 'an error', open)).error).toMatchObject({ code: -32000, message: expect.stringMatching(/\S/) as string })
    expect((await within(limitMs, 'the next error', client.request('ping'))).error).toMatchObject({ code: -32000 })
    client.process.stdin.end()
    expect(await within(limitMs, 'its end', client.ended)).toBe(0)
  })
})

describe('asked to stop', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('by %s: within 5 s, with 0, every port free and no process left', async (signal) => {
    const place = bed(toml)
    const node = await up(place)
    const client = lineClient(place, node)
    await within(limitMs, 'initialize', client.initialize())
    const session = await openSession(node.url('echo'), { token: node.token })
    await text(session, 'pid')
    const all = descendants(node.pid)
    const from = performance.now()
    expect(await node.stop(signal)).toMatchObject({ exitCode: 0, signal: null })
    expect(performance.now() - from).toBeLessThan(5_000)
    expect(await Promise.all(Object.values(node.ports).map(isListening))).toEqual([false, false, false, false])
    expect(all.filter(isRunning)).toEqual([])
  })

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('by %s while it starts: exit code %i, nothing printed, nothing left', async (signal, exitCode) => {
    const { env } = bed()
    const starting = (event: string): Promise<ChildProcess> =>
      new Promise((resolve) => {
        const child = spawn(program[0], [program[1], 'up', ...portFlags()], { env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
        later(() => child.kill('SIGKILL'))
        child.stderr.on('data', (chunk: Buffer) => chunk.includes(event) && resolve(child))
      })
    for (const event of ['machine.listening', 'gate.ready', 'gate.session.opened']) {
      const child = await within(limitMs, event, starting(event))
      const ended = finished(child)
      child.kill(signal)
      expect(await ended).toMatchObject({ exitCode, stdout: '', stderr: expect.not.stringContaining('fairlead:') as string })
    }
    await until('nothing is left', () => orphans().length === 0)
  })
})
