// What is particular to plain processes: where their commands are found, what is kept of images, who may open the folder, what a killed agent leaves.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { isRunning, until } from '../../base/supervise/processes.fixture.ts'
import type { ContainerSpec, Runtime } from '../runtime.ts'
import kind from '../runtimes/process.ts'

let folder: string
let runtime: Runtime
let last = 0
const never = new AbortController().signal
const open = (): Promise<Runtime> =>
  kind.open({ clock, log, env: { PATH: '/usr/bin:/bin', SECRET: 'of the agent' } }, { socket: '', folder })
const put = (name: string, text: string): void => writeFileSync(join(folder, 'images/thing/1', name), text, { mode: 0o755 })

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'process-'))
  mkdirSync(join(folder, 'images/thing/1'), { recursive: true })
  put('run', '#!/bin/sh\necho "own $(pwd)"\nenv\nexec sleep 600\n')
  runtime = await open()
})
afterEach(async () => {
  await runtime.close()
  rmSync(folder, { recursive: true })
})

async function create(more: Partial<ContainerSpec> = {}): Promise<string> {
  return runtime.create({
    name: `c${++last}`,
    image: (await runtime.resolve('thing:1'))!,
    labels: {},
    cmd: [],
    env: [],
    ports: [],
    volumes: [],
    restart: { policy: 'no', most: 0 },
    stopMs: 500,
    ...more,
  })
}
async function start(more: Partial<ContainerSpec> = {}): Promise<string> {
  const id = await create(more)
  await runtime.start(id)
  return id
}
const lines = async (id: string): Promise<string[]> => (await Array.fromAsync(runtime.logs(id, {}, never))).map(({ text }) => text)
const find = async (id: string) => (await runtime.list()).find((one) => one.id === id)!

test('without a command its own `run` runs, in the image, with its variables and none of the agent', async () => {
  const id = await start({ env: ['OWN=a b'] })
  await expect.poll(() => lines(id)).toContain('OWN=a b')
  const said = await lines(id)
  expect(said[0]).toMatch(/^own .*\/kept-images\/sha256-[0-9a-f]{64}$/)
  expect(said.join('\n')).not.toContain('of the agent')
})

test('a command is looked for in the image, then on the machine; one that is nowhere is told', async () => {
  put('uname', '#!/bin/sh\necho from the image\n')
  for (const [cmd, text] of [
    [['uname'], 'from the image'],
    [['/bin/echo', 'absolute'], 'absolute'],
    [['echo', 'of the machine'], 'of the machine'],
  ] as const) {
    const id = await start({ cmd })
    await expect.poll(() => lines(id)).toEqual([text])
  }
  await expect(start({ cmd: ['no-such-thing'] })).rejects.toMatchObject({
    code: 'run.runtime_refused',
    message: expect.stringContaining('no-such-thing was not found'),
  })
})

test('an image that was changed where it is kept is no more that image: it is copied again, or refused', async () => {
  const image = (await runtime.resolve('thing:1'))!
  await create({ image })
  const kept = join(folder, 'kept-images', image.digest.replace(':', '-'), 'run')
  writeFileSync(kept, 'changed')
  await create({ image })
  expect(statSync(kept).size).toBeGreaterThan(10)
  writeFileSync(kept, 'changed')
  put('run', 'other')
  await expect(create({ image })).rejects.toMatchObject({ code: 'run.no_image' })
})

test('images without a container go, except the newest', async () => {
  for (let version = 0; version < 12; version++) {
    put('run', `#!/bin/sh\necho ${version}\n`)
    await runtime.remove(await create())
  }
  expect(readdirSync(join(folder, 'kept-images'))).toHaveLength(8)
})

test('a folder has one runtime at a time', async () => {
  await expect(open()).rejects.toMatchObject({ code: 'run.runtime_unavailable', message: expect.stringContaining('another process') })
})

test('a variable that is a secret stands in no argv, and in no file for others', async () => {
  const id = await start({ env: ['TOKEN=hidden'] })
  expect(runtime.stdioArgv(id, ['cat']).join(' ')).not.toContain('hidden')
  expect(statSync(join(folder, 'entries', id)).mode & 0o077).toBe(0)
  expect(statSync(join(folder, 'process.db')).mode & 0o077).toBe(0)
  await runtime.remove(id)
  expect(existsSync(join(folder, 'entries', id))).toBe(false)
})

test('a killed agent leaves no process, and its records', async () => {
  await runtime.close()
  const script = `
    import { systemClock as clock } from '${join(import.meta.dirname, '../../kernel/clock.ts')}'
    import { silentLog as log } from '${join(import.meta.dirname, '../../kernel/log.ts')}'
    import kind from '${join(import.meta.dirname, '../runtimes/process.ts')}'
    const runtime = await kind.open({ clock, log, env: { PATH: '/usr/bin:/bin' } }, { socket: '', folder: ${JSON.stringify(folder)} })
    const image = await runtime.resolve('thing:1')
    const id = await runtime.create({ name: 'left', image, labels: {}, cmd: [], env: [], ports: [], volumes: [], restart: { policy: 'always', most: 0 }, stopMs: 500 })
    await runtime.start(id)
    const [{ pid }] = await runtime.list()
    console.log(pid)
    setInterval(() => {}, 1000)`
  const agent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [chunk] = (await once(agent.stdout, 'data')) as [Buffer]
  const pid = Number(String(chunk))
  expect(isRunning(pid)).toBe(true)
  agent.kill('SIGKILL')
  await until('its process is gone', () => !isRunning(pid))
  runtime = await open()
  expect(await runtime.list()).toMatchObject([{ name: 'left', state: 'exited', exitCode: 137 }])
})

test('a flood of lines is kept to its newest', async () => {
  const id = await start({ cmd: ['sh', '-c', 'i=0; while [ $i -lt 25000 ]; do echo $i; i=$((i+1)); done'] })
  await expect.poll(async () => (await find(id)).state, { timeout: 20_000 }).toBe('exited')
  await expect.poll(async () => (await lines(id)).at(-1), { timeout: 20_000 }).toBe('24999')
  expect((await lines(id)).length).toBeLessThanOrEqual(11_000)
  expect((await lines(id)).length).toBeGreaterThanOrEqual(10_000)
})

test('an image that holds what is no file is refused', async () => {
  await once(spawn('mkfifo', [join(folder, 'images/thing/1/pipe')]), 'exit')
  await expect(runtime.resolve('thing:1')).rejects.toMatchObject({
    code: 'run.runtime_refused',
    message: expect.stringContaining('pipe is neither'),
  })
})
