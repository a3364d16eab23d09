// What goes wrong with podman in the world, done to real rootless podman from outside: killed watchers, dead services, a registry that is gone.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { setImmediate, setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../src/kernel/clock.ts'
import { silentLog as log } from '../../src/kernel/log.ts'
import type { Container, ContainerSpec, Runtime } from '../../src/run/runtime.ts'
import kind from '../../src/run/runtimes/podman.ts'
import { type PodmanHome, createPodmanHome, look, obstacle } from './containers.ts'

const missing = obstacle()
const never = new AbortController().signal
/** Obeys SIGTERM. */
const waiting = ['sh', '-c', 'trap "exit 7" TERM; while :; do sleep 600 & wait; done']
let home: PodmanHome
let runtime: Runtime
let last = 0

beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
beforeAll(async () => {
  if (missing !== undefined) return
  home = await createPodmanHome()
  runtime = await kind.open({ clock, log, env: {} }, { socket: home.socket, folder: home.folder })
}, 60_000)
afterEach(async () => {
  for (const { id } of await runtime.list()) await runtime.remove(id)
})
afterAll(async () => {
  await runtime?.close()
  await home?.close()
}, 60_000)

async function run(more: Partial<ContainerSpec> = {}): Promise<string> {
  const id = await runtime.create({
    name: `p${++last}`,
    image: (await runtime.resolve(home.image))!,
    labels: {},
    cmd: waiting,
    env: [],
    ports: [],
    volumes: [],
    restart: { policy: 'no', most: 0 },
    stopMs: 1_000,
    ...more,
  })
  await runtime.start(id)
  return id
}
const find = async (id: string): Promise<Container> => (await runtime.list()).find((one) => one.id === id)!
const podmanSays = async (id: string): Promise<string> => (await home.podman('inspect', '--format', '{{.State.Status}}', id)).trim()
/** Conmon of a container: the parent of its process, held against its name. */
function conmonOf({ pid, id }: Container): number {
  const { parent } = look(pid!)!
  expect(readFileSync(`/proc/${parent}/cmdline`, 'utf8').split('\0')).toContain(id)
  return parent
}
/** Starts a process with that number, if it is free: the kernel gives the one after the last. */
function startAs(pid: number): boolean {
  if (look(pid)) return false
  const script = 'echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid; setsid sleep 300 >/dev/null 2>&1 & [ $! = "$1" ] || kill -KILL $!'
  execFileSync('sh', ['-c', script, 'sh', String(pid)], { stdio: 'ignore' })
  return look(pid) !== undefined
}
const gone = (pid: number): Promise<void> => expect.poll(() => look(pid), { timeout: 10_000, interval: 5 }).toBeUndefined()

test('a container whose conmon and process were killed is not running, whatever podman says, and removing it cures that', async () => {
  const id = await run({ restart: { policy: 'always', most: 0 } })
  const before = await find(id)
  const conmon = conmonOf(before)
  process.kill(conmon, 'SIGKILL')
  await gone(conmon)
  process.kill(before.pid!, 'SIGKILL')
  await gone(before.pid!)
  expect(await podmanSays(id)).toBe('running')
  const { pid: _, ...rest } = before
  expect(await find(id)).toEqual({ ...rest, state: 'exited', isStale: true })
  const from = performance.now()
  await runtime.stop(id, 1_000)
  expect(performance.now() - from).toBeLessThan(2_000)
  await runtime.remove(id)
  expect(await runtime.list()).toEqual([])
  expect(await home.podman('ps', '--all', '--quiet')).toBe('')
  const again = await run({ name: before.name })
  expect(await find(again)).toMatchObject({ name: before.name, state: 'running' })
})

test('one whose conmon alone was killed runs, until it is removed with its process', async () => {
  const id = await run()
  const before = await find(id)
  const conmon = conmonOf(before)
  process.kill(conmon, 'SIGKILL')
  await gone(conmon)
  expect(await find(id)).toEqual(before)
  const stranger = await kind.open({ clock, log, env: {} }, { socket: home.socket, folder: '' })
  expect((await stranger.list())[0]).toEqual(before) // nor does one who never saw its conmon take it for stale
  await stranger.close()
  await runtime.remove(id)
  await gone(before.pid!)
})

test('a stranger who has the number of its process by now is not taken for it, and not hurt', async () => {
  const id = await run()
  const before = await find(id)
  const conmon = conmonOf(before)
  process.kill(conmon, 'SIGKILL')
  await gone(conmon)
  process.kill(before.pid!, 'SIGKILL')
  await expect.poll(() => startAs(before.pid!), { timeout: 25_000, interval: 20 }).toBe(true)
  expect(await podmanSays(id)).toBe('running')
  expect(await find(id)).toMatchObject({ state: 'exited', isStale: true })
  await runtime.remove(id)
  expect(look(before.pid!)).toBeDefined()
  process.kill(before.pid!, 'SIGKILL')
})

test('an end that podman has not taken note of yet is an end, and no stale record', async () => {
  for (let round = 0; round < 5; round++) {
    const id = await run()
    const { pid } = await find(id)
    process.kill(pid!, 'SIGKILL')
    await gone(pid!)
    const now = await find(id)
    expect(now).toMatchObject({ state: 'exited', exitCode: 137 })
    expect(now.isStale).toBeUndefined()
    await runtime.remove(id)
  }
})

test('a kill from outside is noticed within 100 ms: a hint, and then the list says so', async () => {
  const times: number[] = []
  for (let round = 0; round < 10; round++) {
    const id = await run()
    const { pid } = await find(id)
    const noticed = Promise.withResolvers<number>()
    const watcher = runtime.watch((hint) => {
      if (hint === id)
        void find(id).then(({ state, exitCode }) => exitCode === 137 && state === 'exited' && noticed.resolve(performance.now()))
    })
    await setImmediate()
    const from = performance.now()
    process.kill(pid!, 'SIGKILL')
    times.push((await noticed.promise) - from)
    watcher[Symbol.dispose]()
    await runtime.remove(id)
  }
  times.sort((a, b) => a - b)
  console.log(`a kill was noticed after ms: p50 ${times[5]!.toFixed(0)}, all ${times.map((ms) => ms.toFixed(0)).join(' ')}`)
  expect(times[5]).toBeLessThan(100)
})

test('what another person stopped or killed through podman stays ended, whatever its policy', async () => {
  const id = await run({ restart: { policy: 'always', most: 0 } })
  await home.podman('kill', id)
  await expect.poll(async () => (await find(id)).state, { timeout: 5_000 }).toBe('exited')
  await wait(500)
  expect(await find(id)).toMatchObject({ state: 'exited', exitCode: 137, restarts: 0 })
})

test('containers go on without the service, calls say that it does not answer, and hints come again when it does', async () => {
  const id = await run()
  const before = await find(id)
  const hints: (string | undefined)[] = []
  const watcher = runtime.watch((hint) => hints.push(hint))
  await home.killService()
  await expect(runtime.list()).rejects.toMatchObject({ code: 'run.runtime_unavailable', details: { runtime: 'podman' } })
  await expect(kind.open({ clock, log, env: {} }, { socket: home.socket, folder: '' })).rejects.toMatchObject({
    code: 'run.runtime_unavailable',
  })
  expect(look(before.pid!)).toBeDefined()
  await home.startService()
  expect(await find(id)).toEqual(before)
  // of these only the events tell
  await expect
    .poll(
      async () => {
        await home.podman('rename', id, `again${++last}`)
        return hints.includes(id)
      },
      { timeout: 15_000 },
    )
    .toBe(true)
  watcher[Symbol.dispose]()
})

test('a registry that does not answer, or answers no, is told in its words', async () => {
  const reference = `${home.registry}/thing:1`
  await expect(runtime.pull(reference, () => {}, never)).rejects.toMatchObject({ code: 'run.no_image' })
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  await expect(runtime.pull(`127.0.0.1:${port}/thing:1`, () => {}, never)).rejects.toMatchObject({
    code: 'run.pull_failed',
    message: expect.stringContaining('connection refused'),
  })
  expect(await runtime.resolve(`127.0.0.1:${port}/thing:1`)).toBeUndefined()
})

test('a pull that is given up ends at once', async () => {
  const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
  await new Promise((resolve) => silent.once('listening', resolve))
  const stop = new AbortController()
  const pulling = runtime.pull(`127.0.0.1:${(silent.address() as AddressInfo).port}/thing:1`, () => stop.abort(), stop.signal)
  await expect(pulling).rejects.toMatchObject({ name: 'AbortError' })
  silent.close()
})

test('a user inside may write to a volume of its own, which outlives the container', async () => {
  const volumes = [{ source: `data${++last}`, target: '/data', isReadOnly: false }]
  const first = await run({ user: '1000:1000', volumes })
  expect(await runtime.exec(first, ['sh', '-c', 'id -u; echo kept >/data/file; ls -n /data/file'], 10_000)).toMatchObject({
    exitCode: 0,
    output: expect.stringMatching(/^1000\n.* 1000 +1000 /),
  })
  await runtime.remove(first)
  const second = await run({ user: '1000:1000', volumes: volumes.map((one) => ({ ...one, isReadOnly: true })) })
  expect(await runtime.exec(second, ['sh', '-c', 'cat /data/file; echo no >/data/file'], 10_000)).toMatchObject({
    exitCode: 1,
    output: expect.stringMatching(/^kept\n.*Read-only/),
  })
})

test('a port of the machine leads inside, on the address that was said', async () => {
  const probe = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => probe.once('listening', resolve))
  const { port: hostPort } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  await run({
    cmd: ['httpd', '-f', '-p', '80', '-h', '/etc'],
    ports: [{ address: '127.0.0.1', hostPort, containerPort: 80, protocol: 'tcp' }],
  })
  const response = await fetch(`http://127.0.0.1:${hostPort}/group`)
  const got = await response.text()
  expect(got).toContain('plain:x:1000:')
})

test('networks are joined by their names, and one that is not there is told', async () => {
  await home.podman('network', 'create', 'own')
  const id = await run({ network: 'own' })
  expect((await home.podman('inspect', '--format', '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}', id)).trim()).toBe(
    'own',
  )
  await expect(run({ network: 'nowhere' })).rejects.toMatchObject({
    code: 'run.runtime_refused',
    message: expect.stringContaining('nowhere'),
  })
  const host = await run({ network: 'host' })
  expect((await home.podman('inspect', '--format', '{{.HostConfig.NetworkMode}}', host)).trim()).toBe('host')
})

test('what a container may print and keep is bounded, wherever the machine logs', async () => {
  const id = await run()
  expect((await home.podman('inspect', '--format', '{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Size}}', id)).trim()).toBe(
    'k8s-file 16.78MB',
  )
})
