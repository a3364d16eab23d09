// R13 with real processes: when one thing is broken, "reach doctor" names exactly that and how to mend it; when nothing is, it says so.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Person, type ReachBench, type Service, echoCommand, freePort, local, portOf, reachBench } from '../../test/kit/reach-bench.ts'
import type { Finding } from '../base/checks/check.ts'
import { createIdentity } from '../base/identity/identity.ts'
import { systemClock } from '../kernel/clock.ts'
import { silentLog } from '../kernel/log.ts'
import { checks } from '../extensions.ts'
import { isStale } from './node/freshness.ts'
import { startRegistry } from './registry/registry.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

const folderOf = (home: string): string => join(bench.folder, home, '.local/state/fairlead/reach')
const serverAt = (port: number): string[] => ['--server', `localhost:${port}`]

/** As Linux tells it. */
function childrenOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
}

type Examined = { readonly exitCode: number; readonly isGood: boolean; readonly findings: readonly Finding[] }

async function doctor(home: string, ...words: string[]): Promise<Examined> {
  const { exitCode, stdout, stderr } = await bench.run(home, 'doctor', ...words, '--json')
  if (stdout === '') throw new Error(stderr)
  return { exitCode, ...(JSON.parse(stdout) as Omit<Examined, 'exitCode'>) }
}

/** The one thing that is bad; everything else is good, or was not asked because of it. */
function onlyBad({ exitCode, isGood, findings }: Examined): Finding {
  expect({ exitCode, isGood }).toEqual({ exitCode: 3, isGood: false })
  const found = findings.filter(({ verdict }) => verdict === 'bad')
  expect(found.map(({ name, evidence }) => `${name}: ${evidence}`)).toHaveLength(1)
  for (const { verdict, evidence } of findings) if (verdict === 'unknown') expect(evidence).toMatch(/^not asked: /)
  return found[0]!
}

function serve(box: Person, ...words: string[]): Promise<Service> {
  return bench.serve(box.home, 'mcp-serve', '--command', echoCommand, ...local, ...words)
}

async function registered(home: string, port: number): Promise<void> {
  const { exitCode, stderr } = await bench.run(home, 'register', ...serverAt(port))
  if (exitCode !== 0) throw new Error(stderr)
}

async function seen(home: string, text: string): Promise<void> {
  await expect.poll(async () => (await bench.run(home, 'peers')).stdout, { timeout: 10_000 }).toContain(text)
}

/** A registry with a clock of its own; its port. */
async function skewedRegistry(skewMs: number): Promise<number> {
  const clock = { ...systemClock, now: () => systemClock.now() + skewMs }
  const settings = { folder: join(bench.folder, `skewed${skewMs}`), listen: ['/ip4/127.0.0.1/tcp/0'] }
  const registry = await startRegistry({ clock, log: silentLog }, settings)
  bench.undo(() => registry.close())
  return portOf({ peerId: registry.peerId, addresses: registry.addresses() })
}

type Scene = { readonly box: Person; readonly mac: Person; readonly registry: Service; readonly port: number; readonly serving: Service }

/** A registry, a peer that serves, and one that may connect: all as it should be. */
async function scene(authorized?: string): Promise<Scene> {
  const [box, mac] = (await bench.people(1)) as [Person, Person]
  const registry = await bench.serve(`registry-of-${box.home}`, 'registry', ...local)
  const port = portOf(registry)
  const serving = await serve(box, '--authorized-peer', authorized ?? mac.peerId, ...serverAt(port))
  await registered(mac.home, port)
  await seen(mac.home, 'direct (proved)')
  return { box, mac, registry, port, serving }
}

describe('R13: fairlead reach doctor', () => {
  test('all good: every check ran, nothing is to be mended, exit code 0', async () => {
    const { box, mac, serving } = await scene()
    const before = childrenOf(serving.pid)
    const { exitCode, isGood, findings } = await doctor(mac.home, box.home)
    expect(findings.filter(({ verdict }) => verdict !== 'good')).toEqual([])
    expect({ exitCode, isGood }).toEqual({ exitCode: 0, isGood: true })
    const unasked = ['peer-in-table'] // see kad/processes.test.ts
    const ours = checks.filter(({ owner }) => owner === 'reach').map(({ name }) => name)
    expect([...new Set(findings.map(({ name }) => name)), ...unasked].sort()).toEqual(ours.sort())
    const { stdout } = await bench.run(mac.home, 'doctor', box.peerId)
    expect(stdout).toMatch(/^good +authorized +it lets /m)
    expect(stdout).toMatch(/^good +peer-answers .*it answers through the relay, and proves its id/m)
    expect(stdout).toMatch(/^12 good, 0 bad, 0 unknown$/m)
    await expect.poll(() => childrenOf(serving.pid), { timeout: 5_000 }).toEqual(before) // the greeting left no server behind
  })

  test('the wallet lies open; what needs no wallet is looked at all the same', async () => {
    const { box, mac } = await scene()
    await chmod(join(folderOf(mac.home), 'wallet.json'), 0o644)
    const examined = await doctor(mac.home, box.home)
    expect(onlyBad(examined)).toMatchObject({ name: 'wallet', remedy: expect.stringMatching(/^chmod 600 '/) as string })
    const verdicts = Object.fromEntries(examined.findings.map(({ name, verdict }) => [name, verdict]))
    expect(verdicts).toMatchObject({ 'peer-answers': 'good', authorized: 'unknown' })
  })

  test('there is no wallet', async () => {
    const examined = await doctor('nobody', createIdentity().peerId, '--address', `/ip4/127.0.0.1/tcp/${await freePort()}`)
    const bad = examined.findings.filter(({ verdict }) => verdict === 'bad')
    expect(bad.map(({ name }) => name)).toEqual(['wallet', 'peer-answers'])
    expect(bad[0]!.remedy).toContain('fairlead reach init')
  })

  test('the registry is not there; the peer is still tried where it was met last', async () => {
    const { box, mac, registry, port } = await scene()
    const mcp = bench.client(mac.home, box.peerId)
    await mcp.initialize()
    await registry.stop('SIGKILL')
    const examined = await doctor(mac.home, box.peerId)
    expect(onlyBad(examined)).toMatchObject({
      name: 'registry-answers',
      evidence: `localhost:${port} does not answer: ECONNREFUSED`,
      remedy: `fairlead reach registry --port ${port}`,
    })
    expect(examined.findings.at(-1)).toMatchObject({ name: 'authorized', verdict: 'good' })
  })

  test.each([
    ['that speaks', 'HTTP/1.1 400 Bad Request\r\n\r\n', /./],
    ['that says nothing', undefined, /no answer in time$/],
  ])("the registry's port belongs to something else %s", { timeout: 20_000 }, async (_, said, problem) => {
    const [, mac] = await bench.people(1)
    const other = createServer((socket) => void (said === undefined ? socket.resume() : socket.end(said)).on('error', () => {}))
    await once(other.listen(0, '127.0.0.1'), 'listening')
    bench.undo(() => other.close())
    const { port } = other.address() as { port: number }
    const bad = onlyBad(await doctor(mac!.home, 'LinuxBox', ...serverAt(port)))
    expect(bad).toMatchObject({ name: 'registry-protocol', remedy: expect.stringContaining(`:${port}`) as string })
    expect(bad.evidence).toContain(`localhost:${port} answers, but not as a registry: `)
    expect(bad.evidence).toMatch(problem)
  })

  test('the registry has another key than the pinned one; nobody is asked there', async () => {
    const { mac, box, registry, port } = await scene()
    await registry.stop()
    await bench.serve('impostor', 'registry', '--host', '127.0.0.1', '--port', String(port))
    const examined = await doctor(mac.home, box.home)
    const bad = onlyBad(examined)
    expect(bad).toMatchObject({ name: 'registry-key', remedy: expect.stringContaining('registries.json') as string })
    expect(bad.evidence).toContain(registry.peerId)
  })

  test('no key is pinned yet: that is unknown, and looking pins nothing', async () => {
    const { box, registry, port } = await scene()
    const { exitCode, findings } = await doctor(box.home, ...serverAt(port))
    expect({ exitCode, findings: findings.filter(({ verdict }) => verdict !== 'good') }).toEqual({ exitCode: 0, findings: [] })
    const [, fresh] = await bench.people(1)
    const met = await doctor(fresh!.home, ...serverAt(port))
    expect(met.exitCode).toBe(3)
    expect(met.findings.find(({ name }) => name === 'registry-key')).toMatchObject({
      verdict: 'unknown',
      evidence: expect.stringContaining(registry.peerId) as string,
      remedy: `fairlead reach register --server localhost:${port}`,
    })
    await expect(stat(join(folderOf(fresh!.home), 'registries.json'))).rejects.toThrow('ENOENT')
  })

  test('the note of pinned keys is damaged: that is found, too', async () => {
    const { mac } = await scene()
    await writeFile(join(folderOf(mac.home), 'registries.json'), '{')
    expect(onlyBad(await doctor(mac.home))).toMatchObject({
      name: 'proxy', // the first that asks which registry it is
      evidence: expect.stringContaining('registries.json') as string,
    })
  })

  test('this clock is behind the registry’s, or ahead of it', async () => {
    const [box, mac] = (await bench.people(1)) as [Person, Person]
    const behind = await skewedRegistry(600_000)
    await registered(mac.home, behind)
    expect(onlyBad(await doctor(mac.home))).toMatchObject({
      name: 'clock',
      evidence: 'this clock is 10 min behind the registry’s',
      remedy: expect.stringMatching(/^sudo timedatectl set-ntp true /) as string,
    })
    // so far ahead a card would not even be taken, so that being unknown there is found as well
    const { findings } = await doctor(box.home, ...serverAt(await skewedRegistry(-600_000)))
    expect(findings.find(({ name }) => name === 'clock')!.evidence).toBe('this clock is 10 min ahead of the registry’s')
  })

  test('we are not registered', async () => {
    const { mac, port } = await scene()
    const [, stranger] = await bench.people(1)
    await writeFile(join(folderOf(stranger!.home), 'registries.json'), await readFile(join(folderOf(mac.home), 'registries.json')))
    expect(onlyBad(await doctor(stranger!.home))).toMatchObject({
      name: 'registered',
      evidence: expect.stringContaining(stranger!.peerId) as string,
      remedy: `fairlead reach register --server localhost:${port}`,
    })
  })

  test('the peer is not registered; its name is taken twice', async () => {
    const { mac, box, port } = await scene()
    expect(onlyBad(await doctor(mac.home, 'Nobody'))).toMatchObject({
      name: 'peer-registered',
      evidence: expect.stringMatching(/^Peer not found: Nobody/) as string,
      remedy: expect.stringContaining('fairlead reach register') as string,
    })
    await bench.run('twin', 'init', '--name', box.home)
    await registered('twin', port)
    const bad = onlyBad(await doctor(mac.home, box.home))
    expect(bad).toMatchObject({
      name: 'peer-registered',
      remedy: expect.stringMatching(/^fairlead reach doctor 12D3KooW\w{44}$/) as string,
    })
    expect(bad.evidence).toContain(box.peerId)
  })

  test('the peer is registered, but ended without a farewell; or with one', async () => {
    const { mac, box, serving, port } = await scene()
    await serving.stop('SIGKILL')
    expect(onlyBad(await doctor(mac.home, box.home))).toMatchObject({
      name: 'peer-answers',
      about: serving.addresses[0]!,
      evidence: expect.stringMatching(/^Peer not found: .*ECONNREFUSED/) as string,
      remedy: expect.stringContaining(`on that machine: fairlead reach mcp-serve --authorized-peer ${mac.peerId}`) as string,
    })
    const again = await serve(box, '--authorized-peer', mac.peerId, ...serverAt(port))
    await seen(mac.home, again.addresses[0]!)
    await again.stop()
    expect(onlyBad(await doctor(mac.home, box.home))).toMatchObject({
      name: 'peer-answers',
      evidence: expect.stringContaining('listens nowhere') as string,
    })
  })

  test('somebody else answers at an address of the peer', async () => {
    const { mac, box, serving } = await scene()
    const address = `/ip4/127.0.0.1/tcp/${portOf(serving)}`
    const bad = onlyBad(await doctor(mac.home, createIdentity().peerId, '--address', address))
    expect(bad).toMatchObject({ name: 'peer-answers', about: address, evidence: expect.stringMatching(/^Handshake Failed: /) as string })
    expect(bad.remedy).toContain('fairlead reach status')
    // one address that answers is enough
    const dead = `/ip4/127.0.0.1/tcp/${await freePort()}`
    const both = await doctor(mac.home, box.peerId, '--address', dead, '--address', address)
    expect(both.exitCode).toBe(0)
    expect(both.findings.map(({ name }) => name)).toEqual(['wallet', 'peer-answers', 'peer-answers', 'authorized'])
  })

  test('we are not authorized', async () => {
    const { mac, box } = await scene(createIdentity().peerId)
    expect(onlyBad(await doctor(mac.home, box.home))).toMatchObject({
      name: 'authorized',
      evidence: `not authorized by ${box.peerId}`,
      remedy: `on that machine: fairlead reach mcp-serve --authorized-peer ${mac.peerId} --command "…"`,
    })
  })

  test('a question that cannot be asked is no finding', async () => {
    expect(await bench.run('nobody', 'doctor', '--server', 'not/a/host')).toMatchObject({ exitCode: 2, stdout: '' })
    expect(await bench.run('nobody', 'doctor', 'x', '--address', 'localhost:8766')).toMatchObject({ exitCode: 2, stdout: '' })
  })
})

test('a card with addresses goes stale when three renewals were missed; a bare one is not renewed', () => {
  const addresses = ['/ip4/192.0.2.7/tcp/8766']
  expect([900_000, 900_001].map((ageMs) => isStale({ addresses, ageMs }))).toEqual([false, true])
  expect(isStale({ addresses: [], ageMs: 80_000_000 })).toBe(false)
})
