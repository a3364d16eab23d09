// Programs that are no servers, and the end of all of them with the gate.
import { describe, expect, test } from 'vitest'
import { descendants, isRunning } from '../../src/base/supervise/processes.fixture.ts'
import {
  call,
  eras,
  gateFor,
  guardOf,
  initializeParams,
  modern,
  openSession,
  post,
  unrulyServer,
  residentBytes,
  servers,
  textOf,
  until,
} from './bed.ts'

describe.each(eras)('%s', (era) => {
  const ask = (url: string) => (era === 'legacy' ? post(url, 'initialize', initializeParams) : modern(url, 'tools/list', {}))

  test.each([
    ['prints lines of no protocol', () => unrulyServer('garbage').command, /garbage/],
    ['prints a line of 100 MB first', () => unrulyServer('long-line').command, undefined],
    ['ends at once', () => ['/bin/sh', '-c', 'echo an-unknown-option >&2; exit 2'], /ended before it was ready/],
    ['is not there', () => ['no-such-program-anywhere'], /the command no-such-program-anywhere was not found/],
    ['may not be run', () => ['/etc/passwd'], /no program that this user may run/],
  ])('attack 20: a program that %s is told in words, and harms nobody', async (_what, command, words) => {
    const gate = await gateFor({
      upstreams: { bad: { command: command(), more: 'request_timeout = "4s"' }, well: { command: unrulyServer().command } },
    })
    const session = await openSession(gate.url('well'))
    const before = residentBytes(gate.process.pid!)
    const [bad, well] = await Promise.all([ask(gate.url('bad')), call(gate.url('well'), 'echo', { text: 'x' }, { session })])
    expect(textOf(well)).toBe('x')
    if (words) expect(bad.body.error!.message).toMatch(words)
    else expect(bad.body).toHaveProperty('result') // the line is skipped unread, and what comes after it is a server's
    expect(residentBytes(gate.process.pid!) - before).toBeLessThan(96 << 20)
    await until('nothing of it is left', () => servers(gate).length === (words ? 1 : 2))
  })
})

test('what a program printed to stderr is in the log', async () => {
  const gate = await gateFor({ upstreams: { bad: { command: ['/bin/sh', '-c', 'echo an-unknown-option >&2; exit 2'] } } })
  await post(gate.url('bad'), 'initialize', initializeParams)
  await until('the log has it', () =>
    gate.stderr.some((line) => line.includes('gate.upstream.ended') && line.includes('an-unknown-option') && line.includes('"exitCode":2')),
  )
})

test('attack 20: SIGKILL of the gate ends children that ignore SIGTERM, and their children', async () => {
  const far = unrulyServer('ignores-term')
  const nested = ['/bin/sh', '-c', 'sleep 600 & sleep 600 & exec "$@"', 'sh', ...far.command]
  const gate = await gateFor({ upstreams: { up: { command: nested }, more: { command: far.command } } })
  await openSession(gate.url('up'))
  await openSession(gate.url('more'))
  const below = descendants(gate.process.pid!)
  expect(below.length).toBeGreaterThanOrEqual(5)
  await gate.stop('SIGKILL')
  await until('nothing of it is left', () => !below.some(isRunning), 3_000)
})

test('SIGKILL of the guard: another takes its place, and holds what the first one held', async () => {
  const far = unrulyServer('ignores-term')
  const gate = await gateFor({ upstreams: { up: { command: far.command } } })
  const session = await openSession(gate.url('up'))
  const first = guardOf(gate)
  process.kill(first, 'SIGKILL')
  await until('another guard is there', () => (guardOf(gate) ?? first) !== first)
  expect(textOf(await call(gate.url('up'), 'echo', { text: 'x' }, { session }))).toBe('x')
  const below = descendants(gate.process.pid!)
  await gate.stop('SIGKILL')
  await until('nothing is left', () => !below.some(isRunning), 3_000)
})
