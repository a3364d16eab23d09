// The library as a program uses it: imported by the package's name from the tarball that npm makes, in processes of its own; and what one program put, others of the group have.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import process from 'node:process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { later } from '../kit/cleanup.ts'
import { main } from '../kit/program.ts'

const root = resolve(import.meta.dirname, '../..')
let installed: string

/** What npm would put into the package, installed as npm would, but for its dependencies: it has none that are needed. */
beforeAll(() => {
  installed = mkdtempSync(join(tmpdir(), 'lib-'))
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', `--pack-destination=${installed}`], { cwd: root, encoding: 'utf8' }),
  ) as [{ filename: string }]
  mkdirSync(join(installed, 'node_modules/fairlead'), { recursive: true })
  execFileSync('tar', ['xf', join(installed, packed.filename), '--strip-components=1', '-C', join(installed, 'node_modules/fairlead')])
  // answers each line of its input, which is JavaScript, with what that came to
  writeFileSync(
    join(installed, 'program.mjs'),
    `import { createInterface } from 'node:readline'
import { getGlobalCache } from 'fairlead/share'
const run = new Function('getGlobalCache', 'text', 'return eval("(async () => (" + text + "))()")')
for await (const line of createInterface({ input: process.stdin }))
  console.log(JSON.stringify(await run(getGlobalCache, line).then((value) => ({ value }), ({ code, message }) => ({ code, message }))))
`,
  )
}, 60_000)
afterAll(() => rmSync(installed, { recursive: true, force: true }))

type Answer = { readonly value?: unknown; readonly code?: string; readonly message?: string }
type Running = { ask(text: string): Promise<Answer>; end(): Promise<number | null>; kill(): Promise<unknown>; readonly child: ChildProcess }

function homeFor(): string {
  const home = mkdtempSync(join(tmpdir(), 'lh-'))
  later(() => rmSync(home, { recursive: true, force: true }))
  return home
}

function start(argv: readonly string[], home: string, env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, argv, {
    cwd: installed,
    env: { PATH: process.env['PATH']!, HOME: home, FAIRLEAD_HOME: home, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  later(() => child.kill('SIGKILL'))
  return child
}

function program(home: string, env: Record<string, string> = {}): Running {
  const child = start(['program.mjs'], home, env)
  const waiting: ((line: string) => void)[] = []
  createInterface({ input: child.stdout! }).on('line', (line) => waiting.shift()!(line))
  const exit = new Promise<number | null>((done) => child.once('exit', done))
  return {
    child,
    async ask(text) {
      const said = new Promise<string>((done) => waiting.push(done))
      child.stdin!.write(`${text}\n`)
      return JSON.parse(await said) as Answer
    },
    end: () => (child.stdin!.end(), exit),
    kill: () => (child.kill('SIGKILL'), exit),
  }
}

/** The lines that `share host` prints when it is ready. */
async function host(home: string, env: Record<string, string>): Promise<{ readonly peer: string; readonly address: string }> {
  const child = start([main, 'share', 'host', '--listen', '127.0.0.1', '--port', '0'], home, env)
  const lines: string[] = []
  createInterface({ input: child.stdout! }).on('line', (line) => lines.push(line))
  await expect.poll(() => lines.find((line) => line.startsWith('/ip4/')), { timeout: 20_000 }).toBeDefined()
  const address = lines.find((line) => line.startsWith('/ip4/'))!
  return { address, peer: address.split('/').at(-1)! }
}

const cache = 'getGlobalCache()'

test('alone: what is put is there until its time is over, over runs, and a second program attaches to the first', async () => {
  const home = homeFor()
  const one = program(home)
  expect(await one.ask(`${cache}.get('runs')`)).toEqual({})
  expect(await one.ask(`${cache}.put('runs', { total: 2, names: ['ä', null] })`)).toEqual({})
  expect(await one.ask(`${cache}.get('runs')`)).toEqual({ value: { total: 2, names: ['ä', null] } })
  const two = program(home)
  expect(await two.ask(`${cache}.get('runs')`)).toEqual({ value: { total: 2, names: ['ä', null] } })
  const stats = (await one.ask(`${cache}.getStats()`)).value as Record<string, unknown>
  expect(stats).toMatchObject({
    local_hits: 2,
    hits: 2,
    unknown_values: 1,
    hit_rate: 2 / 3,
    api_calls_saved: 2,
    api_calls_made: 0,
    cache_size: 1,
  })
  expect(stats).toMatchObject({ p2p_enabled: false, connected_peers: 0 })
  expect((await two.ask(`${cache}.getStats()`)).value).toEqual(stats)
  expect(await two.ask(`${cache}.put('runs', 3)`)).toEqual({})
  expect(await one.ask(`${cache}.get('runs')`)).toEqual({ value: 3 })
  expect(await two.ask(`${cache}.invalidate('runs')`)).toEqual({})
  expect(await one.ask(`${cache}.get('runs')`)).toEqual({})
  await one.ask(`${cache}.put('kept', 4)`)
  await one.kill()
  expect(await two.ask(`${cache}.get('kept')`)).toEqual({ value: 4 }) // now it has the cache open itself
  await two.ask(`${cache}.put('short', 5, { ttlSeconds: 0 })`)
  expect(await two.ask(`${cache}.get('short')`)).toEqual({})
  expect(await two.ask(`${cache} === ${cache}`)).toEqual({ value: true })
  expect(await two.ask(`${cache}.shutdown()`)).toEqual({})
  expect(await two.end()).toBe(0)
})

test('with a host on the machine: it says whose it is, and what is put on one machine is there on another', async () => {
  const [home, elsewhere] = [homeFor(), homeFor()]
  const env = { CACHE_P2P_SHARED_SECRET: 'the secret', IPFS_ACCELERATE_GITHUB_REPO: 'o/r' }
  const { peer, address } = await host(home, env)
  const beside = program(home, env)
  expect((await beside.ask(`${cache}.getStats()`)).value).toMatchObject({ peer_id: peer, p2p_enabled: true, connected_peers: 0 })
  const member = program(elsewhere, { ...env, MCP_P2P_BOOTSTRAP_PEERS: address })
  expect(await member.ask(`${cache}.put('runs', [1])`)).toEqual({})
  expect(await beside.ask(`${cache}.get('runs')`)).toEqual({ value: [1] })
  expect((await beside.ask(`${cache}.getStats()`)).value).toMatchObject({ connected_peers: 1, local_hits: 1 })
  await beside.ask(`${cache}.put('runs', [2])`)
  await expect.poll(() => member.ask(`${cache}.get('runs')`)).toEqual({ value: [2] })
  await beside.ask(`${cache}.invalidate('runs')`)
  await expect.poll(() => member.ask(`${cache}.get('runs')`)).toEqual({})
  expect((await member.ask(`${cache}.getStats()`)).value).toMatchObject({ peer_hits: 1, connected_peers: 1, p2p_enabled: true })
  await member.ask(`${cache}.shutdown()`)
  expect(await member.end()).toBe(0)
  expect(await beside.end()).toBe(0) // who is attached has nothing to let go of
})

test('programs that start at once have one cache; beside a gh that has it open one has its own', async () => {
  const home = homeFor()
  const three = [program(home), program(home), program(home)]
  const peers = await Promise.all(three.map(({ ask }) => ask(`${cache}.getStats().then(({ peer_id }) => peer_id)`)))
  expect(new Set(peers.map(({ value }) => value)).size).toBe(1)
  await Promise.all(three.map(({ ask }, at) => ask(`${cache}.put('of ${at}', ${at})`)))
  for (const { ask } of three)
    expect(await ask(`Promise.all([0, 1, 2].map((at) => ${cache}.get('of ' + at)))`)).toEqual({ value: [0, 1, 2] })

  const other = homeFor()
  const waits = join(other, 'gh')
  writeFileSync(waits, '#!/bin/sh\nexec cat\n', { mode: 0o755 })
  const gh = start([main, 'share', 'gh', '--', 'wait'], other, { PATH: `${other}:${process.env['PATH']}` })
  await expect.poll(() => existsSync(join(other, 'state/share/entries.db')), { timeout: 20_000 }).toBe(true)
  const beside = program(other)
  expect(await beside.ask(`${cache}.put('mine', 1).then(() => ${cache}.get('mine'))`)).toEqual({ value: 1 })
  gh.stdin!.end()
}, 40_000)

test('what cannot be kept, and settings that are wrong, are told', async () => {
  const one = program(homeFor())
  const fails = async (text: string, code: string): Promise<void> => expect(await one.ask(text)).toMatchObject({ code })
  await fails(`${cache}.put('f', () => 1)`, 'share.value_invalid')
  await fails(`${cache}.put('f', 1n)`, 'share.value_invalid')
  await fails(`${cache}.put('f', 'x'.repeat(600_000))`, 'share.value_too_large')
  await fails(`${cache}.put('f', 1, { ttlSeconds: 86_401 })`, 'share.ttl_invalid')
  expect(await one.ask(`${cache}.put('f', 'x'.repeat(500_000))`)).toEqual({})
  const two = program(homeFor(), { CACHE_DEFAULT_TTL: 'soon' })
  expect(await two.ask(`${cache}.getStats()`)).toMatchObject({ code: 'share.ttl_invalid', message: 'CACHE_DEFAULT_TTL is "soon"' })
})
