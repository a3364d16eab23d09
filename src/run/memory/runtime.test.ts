// The simulated runtime does what a script says about its calls, what its world does, and the same every time.
import { expect, test } from 'vitest'
import { createTestClock } from '../../../test/kit/clock.ts'
import type { ContainerSpec } from '../runtime.ts'
import { type Call, type Interference, memoryRuntime } from './runtime.ts'
import { World } from './world.ts'

const specOf = (name: string, digest: string, more: Partial<ContainerSpec> = {}): ContainerSpec => ({
  name,
  image: { reference: 'thing:1', digest },
  labels: {},
  cmd: [],
  env: [],
  ports: [],
  volumes: [],
  restart: { policy: 'no', most: 0 },
  stopMs: 1_000,
  ...more,
})

test('calls fail, are refused, are late, or lose their answer after they were done', async () => {
  const clock = createTestClock()
  const world = new World({ clock })
  const digest = world.load('thing:1')
  const calls: Call[] = []
  let next: Interference | undefined
  const runtime = memoryRuntime({
    world,
    script(call) {
      calls.push(call)
      return next
    },
  })
  const states = (): string[] => world.inmates.map(({ name, state }) => `${name} ${state}`)
  next = { do: 'fail', reason: 'away' }
  await expect(runtime.create(specOf('a', digest))).rejects.toMatchObject({ code: 'run.runtime_unavailable' })
  next = { do: 'refuse', reason: 'no' }
  await expect(runtime.create(specOf('a', digest))).rejects.toMatchObject({ code: 'run.runtime_refused' })
  expect(states()).toEqual([])
  next = { do: 'lose', reason: 'cut' }
  await expect(runtime.create(specOf('a', digest))).rejects.toMatchObject({ code: 'run.runtime_unavailable' })
  expect(states()).toEqual(['a created'])
  next = { do: 'slow', ms: 500 }
  const starting = runtime.start(world.inmates[0]!.id)
  await clock.advance(499)
  expect(states()).toEqual(['a created'])
  await clock.advance(1)
  await starting
  expect(states()).toEqual(['a running'])
  expect(calls.map(({ method, subject }) => [method, subject])).toEqual([
    ['create', 'a'],
    ['create', 'a'],
    ['create', 'a'],
    ['start', world.inmates[0]!.id],
  ])
})

test('its world: an orphan is stale until it is removed, a reboot ends all, hints may be lost', async () => {
  const clock = createTestClock()
  const world = new World({ clock })
  const digest = world.load('thing:1')
  const runtime = memoryRuntime({ world, losesHint: () => true })
  const hints: unknown[] = []
  using _ = runtime.watch((id) => hints.push(id))
  const [orphan, other] = [
    await runtime.create(specOf('a', digest)),
    await runtime.create(specOf('b', digest, { restart: { policy: 'always', most: 0 } })),
  ]
  await runtime.start(orphan)
  await runtime.start(other)
  world.orphan(orphan)
  await runtime.start(orphan)
  expect(await runtime.list()).toMatchObject([
    { id: orphan, state: 'exited', isStale: true },
    { id: other, state: 'running' },
  ])
  world.reboot()
  await clock.advance(10_000)
  expect(await runtime.list()).toMatchObject([{ isStale: true }, { state: 'exited', exitCode: 137, restarts: 0 }])
  await runtime.remove(orphan)
  expect(await runtime.list()).toHaveLength(1)
  expect(hints).toEqual([])
})

test('an image does what it was pushed to do, until its name means another', async () => {
  const clock = createTestClock()
  const world = new World({ clock })
  world.push('thing:1', { prints: ['good'] })
  const runtime = memoryRuntime({ world })
  const never = new AbortController().signal
  const good = await runtime.pull('thing:1', () => {}, never)
  world.push('thing:1', { prints: ['bad'], exits: { afterMs: 100, code: 9 } })
  const bad = await runtime.pull('thing:1', () => {}, never)
  const ids = await Promise.all([good, bad].map(({ digest }, at) => runtime.create(specOf(`c${at}`, digest))))
  for (const id of ids) await runtime.start(id)
  await clock.advance(100)
  expect(await runtime.list()).toMatchObject([{ state: 'running' }, { state: 'exited', exitCode: 9 }])
  expect((await Array.fromAsync(runtime.logs(ids[1]!, {}, never))).map(({ text }) => text)).toEqual(['bad'])
  world.forget('thing:1')
  expect(await runtime.resolve('thing:1')).toBeUndefined()
  world.withdraw('thing:1')
  await expect(runtime.pull('thing:1', () => {}, never)).rejects.toMatchObject({ code: 'run.no_image' })
})

test('two worlds that are moved alike are alike', async () => {
  const play = async (): Promise<unknown> => {
    const world = new World({ clock: createTestClock() })
    const runtime = memoryRuntime({ world })
    const id = await runtime.create(specOf('a', world.load('thing:1')))
    await runtime.start(id)
    world.kill(id)
    return runtime.list()
  }
  expect(await play()).toEqual(await play())
})
