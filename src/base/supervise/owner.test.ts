// An owner that is killed at any moment leaves no process.
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { randomBytes, randomId } from '../../kernel/random.ts'
import { isRunning, marked, until } from './processes.fixture.ts'

const owners: ChildProcess[] = []
afterEach(() => owners.splice(0).forEach((owner) => owner.kill('SIGKILL')))

/** A process of its own with children, and what it has said so far. */
function owner(mark: string, mode: 'storm' | 'latch'): { process: ChildProcess; said: () => string; guardPid: () => number } {
  const fixture = fileURLToPath(new URL('./owner.fixture.ts', import.meta.url))
  const started = spawn(process.execPath, [fixture, mark, mode], { stdio: ['pipe', 'pipe', 'inherit'] })
  owners.push(started)
  let text = ''
  started.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return { process: started, said: () => text, guardPid: () => Number(/guard (\d+)/.exec(text)?.[1]) }
}

/** Numbers in [0, 1) that follow from the seed (a linear congruential generator, Numerical Recipes' constants). */
function fractions(seed: number): () => number {
  let state = seed >>> 0
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32
}

const rounds = process.env['FAIRLEAD_LONG'] ? 500 : 20
test(`an owner killed at any moment leaves nothing within 3 s, ${rounds} times`, { timeout: rounds * 10_000 }, async () => {
  const seed = Number(process.env['FAIRLEAD_SEED'] ?? Buffer.from(randomBytes(4)).readUInt32BE())
  console.log(`owner killed at random moments, seed ${seed}`)
  const fraction = fractions(seed)
  const run = randomId()
  let seen = 0
  const round = async (at: number, pauseMs: number): Promise<void> => {
    const mark = `${run}-${at}.`
    const { process: daemon, said, guardPid } = owner(mark, 'storm')
    await until('it has a guard', () => said().includes(at % 4 === 0 ? 'guard' : 'storm'), 20_000)
    await clock.wait(pauseMs)
    seen += marked(mark).length
    daemon.kill('SIGKILL')
    const tookMs = await until(
      `nothing of round ${at} is left`,
      () => !isRunning(daemon.pid!) && marked(mark).length === 0 && !isRunning(guardPid()),
      10_000,
    )
    expect(tookMs).toBeLessThan(3_000)
  }
  for (let at = 0; at < rounds; at += 2) await Promise.all([round(at, fraction() * 20), round(at + 1, fraction() * 400)])
  expect(marked(run)).toEqual([])
  expect(seen).toBeGreaterThan(rounds) // there was something to leave behind
})

test('an owner killed between the start of a child and its registration leaves nothing, and the command never ran', async () => {
  const mark = randomId()
  const { process: daemon, said, guardPid } = owner(mark, 'latch')
  await until('it has a guard', () => guardPid() > 0, 20_000)
  process.kill(guardPid(), 'SIGSTOP') // so that the registration is never answered
  daemon.stdin!.write('\n')
  await until('the child waits behind the latch', () => marked(mark).length === 1)
  daemon.kill('SIGKILL')
  await until('the child is gone', () => marked(mark).length === 0, 1_000)
  process.kill(guardPid(), 'SIGCONT')
  await until('the guard is gone', () => !isRunning(guardPid()), 3_000)
  expect(said()).not.toContain('ran')
})

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('nor does %s to the whole group of the owner', async (signal) => {
  const mark = randomId()
  const fixture = fileURLToPath(new URL('./owner.fixture.ts', import.meta.url))
  const daemon = spawn(process.execPath, [fixture, mark, 'storm'], { stdio: ['pipe', 'pipe', 'inherit'], detached: true })
  owners.push(daemon)
  let text = ''
  daemon.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await until('it has children', () => text.includes('storm') && marked(mark).length > 3, 20_000)
  process.kill(-daemon.pid!, signal)
  await until('nothing is left', () => !isRunning(daemon.pid!) && marked(mark).length === 0, 3_000)
})
