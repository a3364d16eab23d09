// Children start, end in order and leave nothing, seen from outside by pid.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { spawn } from 'node:child_process'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { randomId } from '../../kernel/random.ts'
import { type Child, type ChildCommand, type ChildEnd, startChild } from './child.ts'
import { latchScript, throughLatch } from './latch.ts'
import { type Guard, startGuard } from './guard.ts'
import { descriptors, everyProcess, isRunning, leaked, look, marked, shells, until } from './processes.fixture.ts'

let guard: Guard
let folder: string
const children: Child[] = []
beforeAll(() => {
  guard = startGuard({ clock, log })
  folder = mkdtempSync(join(tmpdir(), 'supervise-'))
})
afterEach(async () => void (await Promise.all(children.splice(0).map((child) => child.stop({ eofMs: 0, termMs: 0 })))))
afterAll(async () => {
  await guard.close()
  rmSync(folder, { recursive: true })
})

const path = '/usr/local/bin:/usr/bin:/bin'
async function start(argv: ChildCommand['argv'], more: Partial<ChildCommand> = {}): Promise<Child> {
  const child = await startChild({ guard, clock, log }, { name: 'thing', argv, env: { PATH: path }, ...more })
  children.push(child)
  return child
}
const shell = (script: string, more: Partial<ChildCommand> = {}): Promise<Child> => start(['sh', '-c', script], more)

async function outputOf(child: Child): Promise<string> {
  child.stdin.end()
  let text = ''
  for await (const chunk of child.stdout) text += String(chunk)
  return text
}
/** The next line of stdout. */
async function line(child: Child): Promise<string> {
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) return String(chunk).trim()
  throw new Error('no line')
}
const took = async (act: () => Promise<unknown>): Promise<number> => {
  const from = clock.mono()
  await act()
  return clock.mono() - from
}

describe('starting', () => {
  test('argv reaches the command as it is, metacharacters and all', async () => {
    const words = ['', ' ', '$HOME', '`id`', '$(id)', ';', '| cat', '> /tmp/x', '*', '~', "'", '"', '\\', '-n', '--', 'a=b', 'é\n🦊']
    const child = await start([process.execPath, '-e', 'console.log(JSON.stringify(process.argv.slice(1)))', '--', ...words])
    expect(JSON.parse(await outputOf(child))).toEqual(words)
    expect(await child.ended).toEqual({ exitCode: 0, signal: null, lastWords: '' })
  })

  test('the environment is exactly what was named', async () => {
    for (const env of [
      {},
      { ONLY: 'a b\n"c"=$d', go: '1', fairlead_latch: '2' },
      { PATH: path, PWD: '/nowhere', SHLVL: '7', IFS: 'x', OPTIND: 'z', UID: '5', PPID: '1', _: '_', OLDPWD: '', BASH_ENV: '/x' },
    ]) {
      const child = await start(['/usr/bin/env', '-0'], { env })
      const entries = (await outputOf(child)).split('\0').slice(0, -1)
      expect(Object.fromEntries(entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]))).toEqual(
        env,
      )
    }
  })

  test.each(shells())('so it is where sh is %s', async (file) => {
    for (const env of [{}, { A: '1', SHLVL: '7', IFS: 'x', PWD: '/nowhere', UID: '5' }] as Record<string, string>[]) {
      const latched = throughLatch('/usr/bin/env', ['-0'], env)
      const child = spawn(file, ['-c', latchScript, 'name', ...latched.args], {
        argv0: 'sh',
        env: latched.env,
        stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
      })
      ;(child.stdio[3] as NodeJS.WritableStream).end('\n')
      let text = ''
      for await (const chunk of child.stdout!) text += String(chunk)
      expect(text.split('\0').slice(0, -1).sort()).toEqual(
        Object.entries(env)
          .map(([name, value]) => `${name}=${value}`)
          .sort(),
      )
    }
  })

  test('leads a group and a session of its own, with three descriptors', async () => {
    const child = await shell('echo up; exec sleep 600')
    expect(await line(child)).toBe('up')
    expect(look(child.pid)).toMatchObject({ ppid: process.pid, pgid: child.pgid, session: child.pid })
    expect(Object.keys(descriptors(child.pid)).filter((fd) => Number(fd) < 10 || !leaked().includes(fd))).toEqual(['0', '1', '2'])
  })

  test('the working folder, and a command beside it', async () => {
    writeFileSync(join(folder, 'tool'), '#!/bin/sh\npwd', { mode: 0o755 })
    expect(await outputOf(await start(['./tool'], { cwd: folder }))).toBe(`${folder}\n`)
  })

  test('what cannot start says what and why, and leaves no process', async () => {
    const mark = randomId()
    const env = { PATH: path, MARK: mark }
    writeFileSync(join(folder, 'text'), 'no program', { mode: 0o644 })
    const fails = (more: Partial<ChildCommand>, argv: ChildCommand['argv'] = ['true']): Promise<unknown> =>
      start(argv, { env, ...more }).then(
        () => 'started',
        (error: unknown) => error,
      )
    expect(await fails({}, ['no-such-command'])).toMatchObject({
      code: 'supervise.command_not_found',
      message: 'thing cannot start: the command no-such-command was not found',
      hint: expect.stringContaining(`PATH is ${path}`),
    })
    expect(await fails({}, [join(folder, 'absent')])).toMatchObject({
      code: 'supervise.command_not_found',
      hint: expect.stringContaining(join(folder, 'absent')),
    })
    expect(await fails({}, [''])).toMatchObject({ code: 'supervise.command_not_found' })
    expect(await fails({}, [folder])).toMatchObject({ code: 'supervise.command_not_found' })
    expect(await fails({}, [join(folder, 'text')])).toMatchObject({
      code: 'supervise.command_not_executable',
      hint: expect.stringContaining('chmod +x'),
    })
    expect(await fails({ cwd: join(folder, 'absent') })).toMatchObject({ code: 'supervise.folder_missing' })
    expect(await fails({ env: { ...env, 'a.b': '' } })).toMatchObject({
      code: 'supervise.environment_unusable',
      details: { variable: 'a.b' },
    })
    expect(await fails({}, ['true', 'a\0b'])).toMatchObject({ code: 'supervise.failed_to_start' })
    expect(await fails({}, ['true', 'x'.repeat(300_000)])).toMatchObject({
      code: 'supervise.failed_to_start',
      message: expect.stringContaining('E2BIG'),
    })
    expect(marked(mark)).toEqual([])
  })

  test('a script whose interpreter is missing ends with its reason in its last words', async () => {
    writeFileSync(join(folder, 'odd'), '#!/no/such/interpreter\n', { mode: 0o755 })
    const end = await (await start([join(folder, 'odd')])).ended
    expect(end.exitCode).toBeGreaterThan(125)
    expect(end.lastWords).toMatch(/thing.*odd.*not found|No such file/)
  })

  test('stderr is free text: told by line, kept to the last 64', async () => {
    const told: string[] = []
    const child = await shell('i=0; while [ $i -lt 100 ]; do echo "error $i" >&2; i=$((i + 1)); done; exit 3', {
      onStderr: (text) => told.push(text),
    })
    const end = await child.ended
    expect(end).toMatchObject({ exitCode: 3, signal: null })
    expect(told).toHaveLength(100)
    expect(end.lastWords.split('\n')).toEqual(told.slice(-64))
    expect(child.lastWords()).toBe(end.lastWords)
  })
})

describe('ending', () => {
  test('an obedient child ends at the end of its input', async () => {
    const child = await start(['cat'])
    expect(await took(() => child.stop())).toBeLessThan(900)
    expect(await child.ended).toMatchObject({ exitCode: 0, signal: null })
    expect(isRunning(child.pid)).toBe(false)
  })

  test('one that ignores the end of its input gets SIGTERM, after a second', async () => {
    const child = await start(['sleep', '600'])
    const tookMs = await took(() => child.stop())
    expect(tookMs).toBeGreaterThan(950)
    expect(await child.ended).toMatchObject({ exitCode: null, signal: 'SIGTERM' })
  })

  test('one that ignores both gets SIGKILL, and so do its stubborn grandchildren', async () => {
    const mark = randomId()
    const child = await shell(
      `trap '' TERM HUP INT; (sleep 600; sleep 600) & (trap '' TERM; while :; do sleep 600; done) & echo up; while :; do sleep 600; done`,
      {
        env: { PATH: path, MARK: mark },
      },
    )
    expect(await line(child)).toBe('up')
    await until('all of them', () => marked(mark).length >= 5)
    const tookMs = await took(() => child.stop())
    expect(marked(mark)).toEqual([])
    expect(tookMs).toBeGreaterThan(2_900)
    expect(await child.ended).toMatchObject({ exitCode: null, signal: 'SIGKILL' })
  })

  test('grandchildren that outlive an obedient leader are ended before stop() resolves', async () => {
    const mark = randomId()
    const child = await shell(`(trap '' TERM; sleep 600; sleep 600) & echo up; cat`, { env: { PATH: path, MARK: mark } })
    await line(child)
    await child.stop({ termMs: 200 })
    expect(marked(mark)).toEqual([])
    expect(await child.ended).toMatchObject({ exitCode: 0 })
  })

  test('when the leader dies by itself the rest of its group is ended', async () => {
    const mark = randomId()
    const child = await shell(`(trap '' TERM; sleep 600; sleep 600) & sleep 600 & echo up; sleep 600`, { env: { PATH: path, MARK: mark } })
    await line(child)
    process.kill(child.pid, 'SIGKILL')
    expect(await took(() => child.ended)).toBeLessThan(1_000)
    expect(await child.ended).toMatchObject({ signal: 'SIGKILL' })
    expect(await took(() => child.gone)).toBeLessThan(1_500) // even where init is slow to reap orphans
    expect(marked(mark)).toEqual([])
  })

  test('stop() again, at once, while it dies, and after: always the same end', async () => {
    const child = await start(['sleep', '600'])
    await Promise.all([child.stop({ eofMs: 10 }), child.stop(), child.gone])
    await child.stop()
    expect(await child.ended).toMatchObject({ signal: 'SIGTERM' })
  })

  test('a stopped (SIGSTOP) child is ended too', async () => {
    const child = await shell('echo up; cat')
    await line(child)
    process.kill(-child.pgid, 'SIGSTOP')
    await child.stop({ eofMs: 50, termMs: 100 })
    expect(isRunning(child.pid)).toBe(false)
  })

  test('a child that dies while it waits behind the latch is an ended child, not an error', async () => {
    const held = guard.pid!
    process.kill(held, 'SIGSTOP')
    const mark = randomId()
    const starting = shell('echo never', { env: { PATH: path, MARK: mark } })
    await until('it waits behind the latch', () => marked(mark).length === 1)
    process.kill(marked(mark)[0]!, 'SIGKILL')
    const child = await starting
    process.kill(held, 'SIGCONT')
    expect(await child.ended).toMatchObject({ signal: 'SIGKILL' } satisfies Partial<ChildEnd>)
  })

  test('fifty children at once leave no process and no zombie', async () => {
    const mark = randomId()
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, at) => shell(at % 2 ? 'sleep 600 & cat' : 'exit 1', { env: { PATH: path, MARK: mark } })),
    )
    await Promise.all(all.map((child) => child.stop({ eofMs: 100 })))
    await Promise.all(all.map((child) => child.ended))
    expect(marked(mark)).toEqual([])
    expect(everyProcess().filter(({ ppid, state }) => ppid === process.pid && state === 'Z')).toEqual([])
  })
})
