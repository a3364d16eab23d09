// The guard ends what it holds, and outlives what is aimed at its owner.
import { type ChildProcess, spawn } from 'node:child_process'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { createLog } from '../../kernel/log.ts'
import { type Guard, guardScript, startGuard } from './guard.ts'
import { descriptors, isRunning, leaked, look, shells, until } from './processes.fixture.ts'

const started: ChildProcess[] = []
afterEach(() => {
  for (const { pid } of started.splice(0)) {
    try {
      process.kill(-pid!, 'SIGKILL')
    } catch {}
  }
})

/** A process group that is nobody's child of ours to end: its leader, with a child of its own. */
function group(script = 'sleep 600 & sleep 600'): number {
  const leader = spawn('/bin/sh', ['-c', script], { detached: true, stdio: 'ignore' })
  started.push(leader)
  return leader.pid!
}

async function withGuard(act: (guard: Guard, events: string[]) => Promise<void>): Promise<void> {
  const events: string[] = []
  const guard = startGuard({
    clock,
    log: createLog(
      (line) => events.push((JSON.parse(line) as { event: string }).event),
      () => 0,
    ),
  })
  try {
    await act(guard, events)
  } finally {
    await guard.close()
  }
}

test('ends the groups that it holds, and no other', () =>
  withGuard(async (guard) => {
    const [held, letGo, never] = [group(), group(), group()]
    await Promise.all([guard.register(held), guard.register(letGo)])
    guard.unregister(letGo)
    const { pid } = guard
    await guard.close()
    await until('the held group ends', () => !isRunning(held))
    expect(isRunning(pid!)).toBe(false)
    expect([letGo, never].map(isRunning)).toEqual([true, true])
  }))

test('stands apart from its owner: own session, three descriptors, deaf to signals', () =>
  withGuard(async (guard) => {
    await guard.register(group())
    const { pid } = guard
    expect(look(pid!)).toMatchObject({ pgid: pid, session: pid })
    const open = descriptors(pid!)
    expect(Object.keys(open).filter((fd) => Number(fd) < 10 || !leaked().includes(fd))).toEqual(['0', '1', '2'])
    expect(open).toMatchObject({ 0: expect.stringMatching(/^(socket|pipe):/), 1: expect.stringMatching(/^(socket|pipe):/), 2: '/dev/null' })
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE', 'SIGUSR1', 'SIGALRM', 'SIGQUIT'] as const) process.kill(pid!, signal)
    await guard.register(group())
    expect(guard.pid).toBe(pid)
  }))

test('killed: noticed, replaced, and the new one holds what the old one held', () =>
  withGuard(async (guard, events) => {
    const [before, letGo] = [group(), group()]
    await Promise.all([guard.register(before), guard.register(letGo)])
    guard.unregister(letGo)
    for (let round = 0; round < 3; round++) {
      const old = guard.pid!
      process.kill(old, 'SIGKILL')
      await until('a new guard', () => guard.pid !== undefined && guard.pid !== old && isRunning(guard.pid))
      expect(isRunning(before)).toBe(true)
    }
    const after = group()
    await guard.register(after)
    await guard.close()
    await until('both groups end', () => !isRunning(before) && !isRunning(after))
    expect(isRunning(letGo)).toBe(true)
    expect(events).toEqual(['supervise.guard.lost', 'supervise.guard.lost', 'supervise.guard.lost'])
  }))

test('killed while it closes: the groups are ended all the same', () =>
  withGuard(async (guard) => {
    const held = group("trap '' TERM; sleep 600 & sleep 600")
    await guard.register(held)
    const closing = guard.close()
    process.kill(guard.pid!, 'SIGKILL')
    await closing
    await until('the group ends', () => !isRunning(held))
  }))

test('deaf with a full pipe: replaced, and whoever waits is served by the new one', () =>
  withGuard(async (guard, events) => {
    await guard.register(group())
    const old = guard.pid!
    process.kill(old, 'SIGSTOP')
    const waits: Promise<void>[] = []
    // far more than a pipe holds; the number is of no process (pid_max is 2²² at most)
    for (let at = 0; at < 40_000; at++) waits.push(guard.register(5_000_000))
    await Promise.all(waits)
    guard.unregister(5_000_000)
    const last = group()
    await guard.register(last)
    expect(isRunning(old)).toBe(false)
    expect(events).toEqual(['supervise.guard.deaf', 'supervise.guard.lost'])
    await guard.close()
    await until('the last group ends', () => !isRunning(last))
  }))

describe.each(shells())('the script in %s', (file) => {
  const run = (env: Record<string, string> = { PATH: '/usr/bin:/bin' }, script = guardScript): ChildProcess => {
    const guard = spawn(file, ['-c', script, 'guard'], { argv0: 'sh', env, detached: true, stdio: ['pipe', 'pipe', 'ignore'] })
    started.push(guard)
    return guard
  }

  test('answers, forgets, and believes no line that was cut short', async () => {
    const guard = run()
    const [held, twice, letGo] = [group("trap '' TERM; sleep 600 & sleep 600"), group(), group()]
    let answers = ''
    guard.stdout!.on('data', (chunk: Buffer) => (answers += chunk.toString()))
    guard.stdin!.write(`+${twice}\n+${letGo}\n+${held}\n+${twice}\n-7\n-${letGo}\n`)
    await until('its answers', () => answers === `${twice}\n${letGo}\n${held}\n${twice}\n`)
    guard.stdin!.end(`+${letGo}`) // cut short
    await until('both end', () => !isRunning(held) && !isRunning(twice), 3_000)
    await until('so does the guard', () => !isRunning(guard.pid!))
    expect(isRunning(letGo)).toBe(true)
  })

  test('takes nothing for a group that is none: 0 is the guard itself, 1 is everybody', async () => {
    const guard = run(undefined, `kill() { echo "kill $*"; }\n${guardScript}`) // so that a broken script harms nobody
    guard.stdin!.end(`+\n+0\n+1\n+01\n+-1\n+x\n+2 3\n+4;5\n+ *\nhello\n\n6\n`)
    let said = ''
    for await (const chunk of guard.stdout!) said += String(chunk)
    expect(said).toBe('')
  })

  test('kills even where it can start nothing', async () => {
    const guard = run({ PATH: '/nowhere' })
    const held = group("trap '' TERM; sleep 600 & sleep 600")
    guard.stdin!.end(`+${held}\n`)
    await until('it ends', () => !isRunning(held), 3_000)
  })
})

test('never keeps its owner alive', async () => {
  const script = `const { startGuard } = await import(${JSON.stringify(new URL('./guard.ts', import.meta.url).href)}); const { systemClock: clock } = await import(${JSON.stringify(new URL('../../kernel/clock.ts', import.meta.url).href)}); console.log(startGuard({ clock, log: {} }).pid)`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  let pid = 0
  owner.stdout.on('data', (chunk: Buffer) => (pid = Number(chunk.toString())))
  await until('the owner ends', () => owner.exitCode === 0)
  await until('its guard too', () => pid > 0 && !isRunning(pid))
})
