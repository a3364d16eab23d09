// The contract of runtimes, run against every one: what a runtime cannot is skipped by what it says of itself.
import { randomUUID } from 'node:crypto'
import { spawn } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Container, ContainerSpec, LogLine, Runtime, RuntimeAbility } from '../../src/run/runtime.ts'
import { isRunning, within } from './runtime/observe.ts'
import { type Adapter, type Opened, type Program, adapters } from './runtime/adapters.ts'

const never = new AbortController().signal

describe.each(adapters)('runtime: $name', (adapter: Adapter) => {
  const missing = adapter.obstacle()
  let opened: Opened
  let runtime: Runtime
  let last = 0
  const made = new Set<string>()

  beforeAll(async () => {
    if (missing === undefined) opened = await adapter.open()
  }, 60_000)
  beforeEach(({ skip }) => {
    if (missing !== undefined) skip(missing)
    runtime = opened.runtime
  })
  afterEach(async () => {
    for (const id of made) await runtime.remove(id)
    made.clear()
  })
  afterAll(() => opened?.end(), 60_000)

  /** Skips what this runtime does not say that it can: there is nothing to prove. */
  const needs = (ability: RuntimeAbility, skip: (reason: string) => void): void => {
    if (!runtime.can.has(ability)) skip(`not applicable: ${adapter.name} does not say that it can: ${ability}`)
  }
  const specOf = async (program: Program, more: Partial<ContainerSpec> = {}): Promise<ContainerSpec> => ({
    name: `c${++last}`,
    image: (await runtime.resolve(opened.image))!,
    labels: { 'fairlead.service': 'thing' },
    cmd: opened.cmdOf(program),
    env: [],
    ports: [],
    volumes: [],
    restart: { policy: 'no', most: 0 },
    stopMs: 1_000,
    ...more,
  })
  const create = async (program: Program, more: Partial<ContainerSpec> = {}): Promise<string> => {
    const id = await runtime.create(await specOf(program, more))
    made.add(id)
    return id
  }
  const run = async (program: Program, more: Partial<ContainerSpec> = {}): Promise<string> => {
    const id = await create(program, more)
    await runtime.start(id)
    return id
  }
  const find = async (id: string): Promise<Container | undefined> => (await runtime.list()).find((one) => one.id === id)
  const eventually = (id: string, isSo: (container: Container) => boolean): Promise<Container> =>
    within(20_000, async () => {
      const found = await find(id)
      return found && isSo(found) ? found : undefined
    })
  const printed = async (id: string, asked = {}, signal = never): Promise<LogLine[]> => Array.fromAsync(runtime.logs(id, asked, signal))
  const texts = async (id: string, asked = {}): Promise<string[]> => (await printed(id, asked)).map(({ text }) => text)

  test('says what it is', () => {
    expect(runtime.name).toBe(adapter.name)
    expect(runtime.isSimulated).toBe(adapter.name === 'memory')
  })

  describe('images', () => {
    test('are found by name and tag, by name and digest, by digest alone; what is not there is undefined', async () => {
      const image = (await runtime.resolve(opened.image))!
      expect(image).toEqual({ reference: opened.image, digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) })
      const name = opened.image.slice(0, opened.image.lastIndexOf(':'))
      for (const reference of [`${name}@${image.digest}`, image.digest])
        expect(await runtime.resolve(reference)).toEqual({ reference, digest: image.digest })
      for (const reference of ['localhost/none:1', `${name}:none`, `${name}@sha256:${'0'.repeat(64)}`, `sha256:${'0'.repeat(64)}`])
        expect(await runtime.resolve(reference)).toBeUndefined()
    })

    test('another content has another digest', async () => {
      const [one, other] = [await runtime.resolve(opened.image), await runtime.resolve(opened.other)]
      expect(one!.digest).not.toBe(other!.digest)
    })

    test('a pull brings what was pushed, says its progress, and follows a tag that moved', async ({ skip }) => {
      needs('images', skip)
      const reference = await opened.push!('pulled:1', 'one')
      const said: string[] = []
      const first = await runtime.pull(reference, ({ text }) => said.push(text), never)
      expect(said.length).toBeGreaterThan(0)
      expect(await runtime.resolve(reference)).toEqual(first)
      await opened.push!('pulled:1', 'two')
      const second = await runtime.pull(reference, () => {}, never)
      expect(second.reference).toBe(reference)
      expect(second.digest).not.toBe(first.digest)
      const pinned = `${reference.slice(0, reference.lastIndexOf(':'))}@${second.digest}`
      expect(await runtime.pull(pinned, () => {}, never)).toEqual({ reference: pinned, digest: second.digest })
    })

    test('a pull of what is not there says so', async ({ skip }) => {
      needs('images', skip)
      const reference = await opened.push!('there:1', 'one')
      await expect(runtime.pull(`${reference}-not`, () => {}, never)).rejects.toMatchObject({ code: 'run.no_image' })
      await expect(runtime.pull(reference.replace('there', 'nowhere'), () => {}, never)).rejects.toMatchObject({ code: 'run.no_image' })
    })

    test('a name that comes to mean another image changes no container', async () => {
      const id = await run({})
      const before = (await find(id))!
      const insides = await opened.insides(before)
      const restore = await opened.retag()
      try {
        expect((await runtime.resolve(opened.image))!.digest).not.toBe(before.image.digest)
        expect(await find(id)).toEqual(before)
        expect(await opened.insides(before)).toBe(insides)
        const again = (await find(await run({}, { image: before.image })))!
        expect(again.image).toEqual(before.image)
        expect(await opened.insides(again)).toBe(insides)
        const other = (await find(await run({})))!
        expect(await opened.insides(other)).not.toBe(insides)
      } finally {
        await restore()
      }
    })
  })

  describe('making', () => {
    test('a new container does not run, and is what it was made of', async () => {
      const labels = { 'fairlead.made': '{"a":"ä\\n\\"="}', empty: '' }
      const spec = await specOf({ prints: ['never'] }, { labels })
      const id = await runtime.create(spec)
      made.add(id)
      expect(await find(id)).toEqual({ id, name: spec.name, state: 'created', image: spec.image, labels, restarts: 0 })
      expect(await texts(id)).toEqual([])
    })

    test('those of some labels only, to the letter', async () => {
      const mark = randomUUID()
      const [one, other] = [
        { 'fairlead.of': mark, kind: 'a=b' },
        { 'fairlead.of': mark, kind: 'a=*' },
      ]
      const ids = [await create({}, { labels: one }), await create({}, { labels: other })]
      const named = async (labels: Record<string, string>): Promise<string[]> => (await runtime.list(labels)).map(({ id }) => id).sort()
      expect(await named({ 'fairlead.of': mark })).toEqual(ids.toSorted())
      expect(await named(one)).toEqual([ids[0]])
      expect(await named(other)).toEqual([ids[1]])
      expect(await named({ 'fairlead.of': `${mark.slice(0, 8)}*` })).toEqual([])
      expect(await named({ 'fairlead.of': mark, kind: 'a' })).toEqual([])
    })

    test('a name is taken once', async () => {
      const spec = await specOf({})
      const id = await runtime.create(spec)
      made.add(id)
      await expect(runtime.create(spec)).rejects.toMatchObject({ code: 'run.name_taken', details: { name: spec.name } })
      expect((await runtime.list()).filter(({ name }) => name === spec.name)).toHaveLength(1)
    })

    test('an image that is not there makes nothing, and dials nobody', async () => {
      const image = { reference: 'localhost/none:1', digest: `sha256:${'1'.repeat(64)}` }
      const spec = await specOf({}, { image })
      const from = performance.now()
      await expect(runtime.create(spec)).rejects.toMatchObject({ code: 'run.no_image', details: { reference: image.reference } })
      expect(performance.now() - from).toBeLessThan(2_000)
      expect((await runtime.list()).some(({ name }) => name === spec.name)).toBe(false)
    })

    test('what it cannot is refused before anything is made', async () => {
      const asks: readonly (readonly [RuntimeAbility, Partial<ContainerSpec>])[] = [
        ['networks', { network: 'none' }],
        ['port-mapping', { ports: [{ address: '127.0.0.1', hostPort: 18_080, containerPort: 80, protocol: 'tcp' }] }],
        ['volumes', { volumes: [{ source: 'data', target: '/data', isReadOnly: false }] }],
        ['users', { user: '1000' }],
        ['memory-limits', { memoryBytes: 64 << 20 }],
        ['cpu-limits', { cpus: 0.5 }],
        ['pid-limits', { pids: 50 }],
      ]
      for (const [ability, more] of asks) {
        if (runtime.can.has(ability)) {
          await create({}, more)
          continue
        }
        const spec = await specOf({}, more)
        await expect(runtime.create(spec)).rejects.toMatchObject({ code: 'run.cannot', details: { abilities: [ability] } })
        expect((await runtime.list()).some(({ name }) => name === spec.name)).toBe(false)
      }
    })

    test('a container has another name when it is renamed, and its own again is well', async () => {
      const [one, other] = [await create({}), await create({})]
      await runtime.rename(one, `renamed-${last}`)
      await runtime.rename(one, `renamed-${last}`)
      expect(await find(one)).toMatchObject({ name: `renamed-${last}` })
      await expect(runtime.rename(other, `renamed-${last}`)).rejects.toMatchObject({ code: 'run.name_taken' })
      await expect(runtime.rename('f'.repeat(64), 'x')).rejects.toMatchObject({ code: 'run.no_container' })
    })
  })

  describe('living', () => {
    test('what is started runs, and starting it again changes nothing', async () => {
      const from = Date.now()
      const id = await run({})
      const { state, pid, startedAt, exitCode } = (await find(id))!
      expect({ state, exitCode }).toEqual({ state: 'running', exitCode: undefined })
      expect(startedAt).toBeGreaterThan(from - 2_000)
      expect(startedAt).toBeLessThan(Date.now() + 2_000)
      if (!runtime.isSimulated) expect(isRunning(pid!)).toBe(true)
      await runtime.start(id)
      expect((await find(id))!.pid).toBe(pid)
      await expect(runtime.start('f'.repeat(64))).rejects.toMatchObject({ code: 'run.no_container' })
    })

    test('what ends by itself has its exit code, no process, and can be started again', async () => {
      const id = await run({ exit: { afterMs: 0, code: 3 } })
      const ended = await eventually(id, ({ state }) => state === 'exited')
      expect(ended).toMatchObject({ exitCode: 3, restarts: 0 })
      expect(ended.pid).toBeUndefined()
      expect(ended.isStale).toBeUndefined()
      await runtime.start(id)
      await eventually(id, ({ state, startedAt }) => state === 'exited' && startedAt! >= ended.startedAt!)
    })

    test('what is killed from outside has exited with 128 + the signal, at once', async () => {
      const id = await run({})
      await opened.kill((await find(id))!)
      const ended = await within(2_000, async () => {
        const found = await find(id)
        expect(found!.isStale, 'it is no stale record').toBeUndefined()
        return found!.state === 'exited' ? found : undefined
      })
      expect(ended).toMatchObject({ state: 'exited', exitCode: 137 })
    })

    test('always: killed from outside, it runs again', async () => {
      const id = await run({}, { restart: { policy: 'always', most: 0 } })
      const { pid } = (await find(id))!
      await opened.kill((await find(id))!)
      const again = await eventually(id, (now) => now.state === 'running' && now.pid !== pid)
      expect(again.restarts).toBe(1)
    })

    test('on-failure: so often, and no more; a good end is no failure', async () => {
      const failing = await run({ exit: { afterMs: 0, code: 1 } }, { restart: { policy: 'on-failure', most: 2 } })
      const well = await run({ exit: { afterMs: 0, code: 0 } }, { restart: { policy: 'on-failure', most: 2 } })
      expect(await eventually(failing, ({ state, restarts }) => state === 'exited' && restarts === 2)).toMatchObject({ exitCode: 1 })
      await wait(500)
      expect(await find(failing)).toMatchObject({ state: 'exited', restarts: 2 })
      expect(await find(well)).toMatchObject({ state: 'exited', restarts: 0, exitCode: 0 })
    })
  })

  describe('ending', () => {
    test('what obeys ends soon, and no policy brings it back', async () => {
      const id = await run({}, { restart: { policy: 'always', most: 0 } })
      const from = performance.now()
      await runtime.stop(id, 10_000)
      expect(performance.now() - from).toBeLessThan(5_000)
      const stopped = (await find(id))!
      expect(stopped).toMatchObject({ state: 'exited', exitCode: expect.any(Number) })
      await wait(500)
      expect(await find(id)).toMatchObject({ state: 'exited', restarts: stopped.restarts })
      await runtime.start(id)
      expect(await find(id)).toMatchObject({ state: 'running' })
    })

    test('what does not obey is killed in the end', async () => {
      const id = await run({ ignoresTerm: true, prints: ['up'] })
      await within(5_000, async () => ((await texts(id)).length > 0 ? true : undefined))
      const { pid } = (await find(id))!
      const from = performance.now()
      await runtime.stop(id, 1_000)
      expect(performance.now() - from).toBeGreaterThan(900)
      expect(await find(id)).toMatchObject({ state: 'exited', exitCode: 137 })
      if (!runtime.isSimulated) expect(isRunning(pid!)).toBe(false)
    })

    test('stopping what does not run, or is not there, is well', async () => {
      const id = await create({})
      await runtime.stop(id, 1_000)
      expect(await find(id)).toMatchObject({ state: 'created' })
      await runtime.start(id)
      await runtime.stop(id, 1_000)
      await runtime.stop(id, 1_000)
      await runtime.stop('f'.repeat(64), 1_000)
    })

    test('what is removed is gone with its process, whatever it does, and its name is free', async () => {
      const spec = await specOf({ ignoresTerm: true }, { restart: { policy: 'always', most: 0 } })
      const id = await runtime.create(spec)
      await runtime.start(id)
      const { pid } = (await find(id))!
      await runtime.remove(id)
      expect(await find(id)).toBeUndefined()
      if (!runtime.isSimulated) expect(isRunning(pid!)).toBe(false)
      await runtime.remove(id)
      made.add(await runtime.create(spec))
      await wait(400)
      expect((await runtime.list()).filter(({ name, state }) => name === spec.name && state === 'running')).toEqual([])
    })
  })

  describe('what it printed', () => {
    test('comes line by line, of both streams, oldest first, from the end or from a time on', async () => {
      const from = Math.floor(Date.now() / 1_000) * 1_000
      const id = await run({ prints: ['one', 'two ä  ', 'three'], exit: { afterMs: 0, code: 0 } })
      await eventually(id, ({ state }) => state === 'exited')
      const lines = await within(5_000, async () => {
        const all = await printed(id)
        return all.length === 3 ? all : undefined
      })
      expect(lines.map(({ text, stream }) => `${stream} ${text}`)).toEqual(['stdout one', 'stdout two ä  ', 'stdout three'])
      for (const { time } of lines) expect(time).toBeGreaterThanOrEqual(from)
      expect(await texts(id, { tail: 2 })).toEqual(['two ä  ', 'three'])
      expect(await texts(id, { tail: 0 })).toEqual([])
      expect(await texts(id, { since: from - 1_000 })).toEqual(['one', 'two ä  ', 'three'])
      expect(await texts(id, { since: Date.now() + 60_000 })).toEqual([])
      await expect(printed('f'.repeat(64))).rejects.toMatchObject({ code: 'run.no_container' })
    })

    test('errors are told from output', async ({ skip }) => {
      if (runtime.isSimulated) skip('not applicable: nothing prints errors there by itself')
      const id = await run({ says: ['oh'], exit: { afterMs: 0, code: 0 } })
      await eventually(id, ({ state }) => state === 'exited')
      await within(5_000, async () => ((await printed(id)).length > 0 ? true : undefined))
      expect(await printed(id)).toEqual([{ time: expect.any(Number), stream: 'stderr', text: 'oh' }])
    })

    test('is followed until the signal, without an error, and also to the end of the container', async () => {
      const id = await run({ prints: ['before'] })
      const stop = new AbortController()
      const lines: string[] = []
      const following = (async () => {
        for await (const { text } of runtime.logs(id, { follow: true }, stop.signal)) {
          lines.push(text)
          stop.abort()
        }
      })()
      await following
      expect(lines).toEqual(['before'])
      const toTheEnd = printed(id, { follow: true })
      await wait(100)
      await runtime.stop(id, 2_000)
      expect((await toTheEnd).map(({ text }) => text)).toEqual(['before'])
    })
  })

  describe('inside', () => {
    test('a command has its output and its exit code', async ({ skip }) => {
      needs('exec', skip)
      const id = await run({})
      expect(await runtime.exec(id, opened.cmdOf({ prints: ['out'], exit: { afterMs: 0, code: 4 } }), 10_000)).toEqual({
        exitCode: 4,
        output: 'out\n',
      })
      await expect(runtime.exec('f'.repeat(64), ['true'], 10_000)).rejects.toMatchObject({ code: 'run.no_container' })
      await runtime.stop(id, 1_000)
      await expect(runtime.exec(id, ['true'], 10_000)).rejects.toMatchObject({ code: 'run.runtime_refused' })
    })

    test('a command that is not over in time leaves no process', async ({ skip }) => {
      needs('exec', skip)
      if (runtime.isSimulated) skip('not applicable: its commands take no time')
      const id = await run({})
      const from = performance.now()
      const asked = runtime.exec(id, ['sh', '-c', 'echo $$ >/dev/null; exec sleep 98765'], 500)
      await expect(asked).rejects.toMatchObject({ code: 'run.runtime_refused' })
      expect(performance.now() - from).toBeLessThan(5_000)
      await within(5_000, async () => (opened.count('sleep\u000098765') === 0 ? true : undefined))
    })

    test('what a command prints is cut', async ({ skip }) => {
      needs('exec', skip)
      if (runtime.isSimulated) skip('not applicable: its commands print what they are told')
      const id = await run({})
      const { output } = await runtime.exec(
        id,
        ['sh', '-c', 'i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done'],
        20_000,
      )
      expect(Buffer.byteLength(output)).toBe(64 << 10)
    })

    test('a server speaks over our own streams, and ends with its input', async ({ skip }) => {
      needs('stdio', skip)
      const id = await run({})
      const [command, ...args] = runtime.stdioArgv(id, [
        'sh',
        '-c',
        'while read -r line; do echo "got $line"; done; echo "$1"',
        'sh',
        '$x "; *',
      ])
      const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: opened.env })
      child.stdin.end('hello\n')
      const [output, code] = await Promise.all([
        Array.fromAsync(child.stdout.setEncoding('utf8')),
        new Promise((resolve) => child.once('exit', resolve)),
      ])
      expect({ output: output.join(''), code }).toEqual({ output: 'got hello\n$x "; *\n', code: 0 })
    })

    test('variables are as they were given', async ({ skip }) => {
      needs('exec', skip)
      if (runtime.isSimulated) skip('not applicable: nothing reads a variable there')
      const id = await run({}, { env: ['PLAIN=1', 'ODD=a "b" $c `d`=\'e\' ä'] })
      expect((await runtime.exec(id, ['sh', '-c', 'printf "%s|%s" "$PLAIN" "$ODD"'], 10_000)).output).toBe('1|a "b" $c `d`=\'e\' ä')
    })

    test('health is that of its own check; without one it is not known', async ({ skip }) => {
      needs('health-checks', skip)
      const plain = await run({})
      expect(await runtime.checkHealth(plain)).toBeUndefined()
      const image = (await runtime.resolve(await opened.checked!('healthy')))!
      const well = await run({}, { image })
      await within(10_000, async () => ((await runtime.checkHealth(well)) === 'healthy' ? true : undefined))
      expect(await find(well)).toMatchObject({ health: 'healthy' })
      const ill = await run({}, { image: (await runtime.resolve(await opened.checked!('unhealthy')))! })
      await within(10_000, async () => ((await runtime.checkHealth(ill)) === 'unhealthy' ? true : undefined))
      await expect(runtime.checkHealth('f'.repeat(64))).rejects.toMatchObject({ code: 'run.no_container' })
    })
  })

  describe('hints', () => {
    test('come soon after a start and after an end from outside, and not after the watcher is gone', async () => {
      const hints: (string | undefined)[] = []
      const watcher = runtime.watch((id) => hints.push(id))
      await wait(300)
      const id = await run({})
      await within(5_000, async () => (hints.includes(id) ? true : undefined))
      hints.length = 0
      await opened.kill((await find(id))!)
      await within(5_000, async () => (hints.includes(id) ? true : undefined))
      watcher[Symbol.dispose]()
      await wait(700)
      hints.length = 0
      await runtime.start(id)
      await wait(700)
      expect(hints).toEqual([])
    })
  })

  test('after another opening, as when the agent was killed, what was made is there, and runs where that is promised', async () => {
    const id = await run({ prints: ['kept'] })
    const { pid } = (await find(id))!
    await within(5_000, async () => ((await texts(id)).length > 0 ? true : undefined))
    runtime = opened.runtime = await opened.reopen()
    expect(await find(id)).toMatchObject(runtime.can.has('detached') ? { state: 'running', pid } : { state: 'exited' })
    expect(await texts(id)).toEqual(['kept'])
    if (!runtime.can.has('detached')) expect(isRunning(pid!)).toBe(false)
    await runtime.start(id)
    expect(await find(id)).toMatchObject({ state: 'running' })
  })
})
