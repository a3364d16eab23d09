// R11 for what does not watch a key all the time: ports, witnesses, messages and mailboxes, as real processes with a registry between them.
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  type Person,
  type ReachBench,
  type Served,
  freePort,
  listeningPorts,
  local,
  portOf,
  reachBench,
} from '../../../test/kit/reach-bench.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { systemClock as clock } from '../../kernel/clock.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { createPeerHost } from '../../base/peer/host/host.ts'
import { addToHistory } from '../history.ts'
import { homeIn } from '../home.ts'
import { leaveMessage } from '../mailbox/client.ts'
import { signMessage } from '../message/message.ts'
import { knownRegistries, parseServer } from '../registry/known-registries.ts'

vi.setConfig({ testTimeout: 180_000 })
const patience = { timeout: 60_000 } // the machine may be busy
let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

const homeOf = ({ home }: Person) => homeIn(join(bench.folder, home, '.local/state/fairlead/reach'))
const at = (served: Served): string[] => ['--address', `/ip4/127.0.0.1/tcp/${portOf(served)}`]
type Rotated = { readonly peerId: string; readonly oldWallet: string; readonly running?: string }
async function rotate({ home }: Person, ...words: string[]): Promise<Rotated> {
  const { exitCode, stdout, stderr } = await bench.run(home, 'rotate', '--json', ...words)
  expect([exitCode, exitCode === 0 ? '' : stderr]).toEqual([0, ''])
  return JSON.parse(stdout) as Rotated
}
let count = 0
async function registry(): Promise<{ server: string[]; stop: () => Promise<unknown> }> {
  const served = await bench.serve(`registry-${++count}`, 'registry', ...local)
  return { server: ['--server', `localhost:${portOf(served)}`], stop: () => served.stop() }
}
/** Somebody else with a copy of a wallet. */
async function thiefWith(wallet: string): Promise<Person> {
  const thief = { home: `thief-${++count}`, peerId: '' }
  const { wallet: path } = homeOf(thief)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await copyFile(wallet, path)
  return thief
}

test('a host that was given any free port keeps the one it got', async () => {
  const [box] = (await bench.people(0)) as [Person]
  const agent = await bench.serve(box.home, 'agent', ...local)
  const before = listeningPorts(agent.pid)
  expect(before).toEqual([portOf(agent)])
  const { peerId, running } = await rotate(box)
  expect(running).toBe(peerId)
  await expect.poll(() => listeningPorts(agent.pid), patience).toEqual(before)
})

describe('a witness', () => {
  const write = (person: Person) =>
    addToHistory({ clock, log }, homeOf(person), { event: 'sent', peer: person.peerId, id: 'x'.repeat(22), message: 'y'.repeat(43) })

  test('follows the peer to its new key if it was told so, by what the peer shows itself, and not otherwise', async () => {
    const [box, mac, other] = (await bench.people(2)) as [Person, Person, Person]
    const [following, strict] = [await bench.serve(box.home, 'agent', ...local), await bench.serve(other.home, 'agent', ...local)]
    const ask = (who: Person, witness: Person, where: Served) => bench.run(who.home, 'history', '--witness', witness.peerId, ...at(where))
    expect((await bench.run(box.home, 'witness', 'add', mac.peerId, '--follow-rotations')).stdout).toContain('witnessed now')
    await bench.run(other.home, 'witness', 'add', mac.peerId)
    expect((await bench.run(box.home, 'witness', 'list')).stdout).toContain(`${mac.peerId}, and whatever key it is rotated to`)
    expect((await bench.run(other.home, 'witness', 'list')).stdout).not.toContain('rotated')
    await write(mac)
    for (const [witness, where] of [
      [box, following],
      [other, strict],
    ] as const)
      await expect.poll(async () => (await ask(mac, witness, where)).exitCode, patience).toBe(0)
    const { peerId, oldWallet } = await rotate(mac)
    expect(await ask(mac, box, following)).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('witnessed up to 2') as string })
    expect(await ask(mac, other, strict)).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('no witness for') as string })
    const thief = await thiefWith(oldWallet)
    await write({ ...thief, peerId })
    expect(await ask(thief, box, following)).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('no witness for') as string })
  })

  test('signs nothing more for a key that was revoked', async () => {
    const [box, mac] = (await bench.people(1)) as [Person, Person]
    const { server } = await registry()
    const agent = await bench.serve(box.home, 'agent', ...local, ...server)
    await bench.run(box.home, 'witness', 'add', mac.peerId)
    await write(mac)
    const ask = (who: Person) => bench.run(who.home, 'history', '--witness', box.peerId, ...at(agent))
    await expect.poll(async () => (await ask(mac)).exitCode, patience).toBe(0)
    const thief = await thiefWith(homeOf(mac).wallet)
    await write({ ...mac, ...thief })
    expect((await bench.run(mac.home, 'revoke', '--yes', ...server)).exitCode).toBe(0)
    const from = performance.now()
    await expect.poll(async () => (await ask(thief)).exitCode, patience).toBe(4)
    expect(performance.now() - from).toBeLessThan(10_000)
  })
})

describe('messages', () => {
  test('to a remembered address: a revocation counts as soon as it is published; a registry that is gone stops nothing', async () => {
    const [box, mac] = (await bench.people(1)) as [Person, Person]
    const { server, stop } = await registry()
    const where = ['--host', '127.0.0.1', '--port', String(await freePort())]
    await bench.serve(box.home, 'listen', ...where, ...server)
    const send = (text: string) => bench.run(mac.home, 'send', box.peerId, text, ...server)
    await expect.poll(async () => (await send('one')).stdout, patience).toContain('delivered')
    // the process under the revoked key runs on, as that of a thief would
    expect((await bench.run(box.home, 'revoke', '--yes', '--reason', 'stolen', ...server)).exitCode).toBe(0)
    const told = await send('two')
    expect(told).toMatchObject({ exitCode: 4, stdout: '', stderr: expect.stringContaining('stolen') as string })
    expect((await bench.run(box.home, 'inbox')).stdout).not.toContain('two')

    const [tin, tom] = (await bench.people(1)) as [Person, Person]
    const tins = await bench.serve(tin.home, 'listen', ...local, ...server)
    const toTin = (text: string, ...words: string[]) => bench.run(tom.home, 'send', tin.peerId, text, ...words)
    expect((await toTin('one', ...at(tins))).exitCode).toBe(0)
    await stop()
    const from = performance.now()
    expect((await toTin('two', ...at(tins), ...server)).stdout).toContain('delivered')
    expect(performance.now() - from).toBeLessThan(10_000)
  })

  test('from a revoked key are refused by a recipient that never heard of it, directly and out of the mailbox', async () => {
    const [box, mac] = (await bench.people(1)) as [Person, Person]
    const { server } = await registry()
    const listening = await bench.serve(box.home, 'listen', ...local, ...server)
    const thief = await thiefWith(homeOf(mac).wallet)
    expect((await bench.run(thief.home, 'send', box.peerId, 'while it counts', ...at(listening))).exitCode).toBe(0)
    expect((await bench.run(mac.home, 'revoke', '--yes', ...server)).exitCode).toBe(0)
    const from = performance.now()
    const said = async (): Promise<string> => (await bench.run(thief.home, 'send', box.peerId, 'too late', ...at(listening))).stderr
    await expect.poll(said, patience).toContain('was revoked')
    expect(performance.now() - from).toBeLessThan(10_000)
    await listening.stop()
    const left = await bench.run(thief.home, 'send', box.peerId, 'sealed', ...server)
    expect(left.stdout).toContain('left in the mailbox')
    expect((await bench.run(box.home, 'inbox', ...server)).stdout).not.toContain('sealed')
  })
})

test('files from a revoked key are refused by a recipient that never heard of it', async () => {
  const [box, mac] = (await bench.people(1)) as [Person, Person]
  const { server } = await registry()
  const agent = await bench.serve(box.home, 'agent', ...local, ...server)
  expect((await bench.run(box.home, 'accept-files', mac.peerId)).exitCode).toBe(0)
  const thief = await thiefWith(homeOf(mac).wallet)
  const file = join(bench.folder, 'report.txt')
  await writeFile(file, 'hello')
  const send = () => bench.run(thief.home, 'send-file', box.peerId, file, ...at(agent))
  expect((await send()).exitCode).toBe(0)
  expect((await bench.run(mac.home, 'revoke', '--yes', ...server)).exitCode).toBe(0)
  const from = performance.now()
  await expect.poll(async () => (await send()).exitCode, patience).not.toBe(0)
  expect(performance.now() - from).toBeLessThan(10_000)
})

test('what is left for the old key until its rotation is known reaches the new one; nothing can be left for it after that', async () => {
  const [box, mac] = (await bench.people(1)) as [Person, Person]
  const port = await freePort()
  const server = ['--server', `localhost:${port}`]
  const start = () => bench.serve('late', 'registry', '--host', '127.0.0.1', '--port', String(port))
  const first = await start()
  expect((await bench.run(box.home, 'register', ...server)).exitCode).toBe(0)
  await first.stop()
  const stuck = await bench.run(box.home, 'rotate') // the new wallet is in place, and nobody knows
  expect(stuck).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('not known at the registry yet') as string })
  await start()
  const left = await bench.run(mac.home, 'send', box.peerId, 'in the last second', ...server)
  expect(left.stdout).toContain('left in the mailbox')
  const { peerId } = await rotate(box)
  expect(peerId).not.toBe(box.peerId)
  const inbox = await bench.run(box.home, 'inbox')
  expect(inbox.stdout.match(/in the last second/g)).toHaveLength(1)

  const identity = createIdentity()
  const host = await createPeerHost({ identity, clock, log }, { listen: [] })
  bench.undo(() => host.close())
  const { signed } = await signMessage(identity, box.peerId, 'to nobody', clock.now(), { mayWait: true })
  const needs = { host, clock, known: knownRegistries(join(bench.folder, 'registries.json')) }
  const late = leaveMessage(needs, parseServer(`localhost:${port}`), { to: box.peerId, signed })
  await expect(late).rejects.toMatchObject({ code: 'reach.registry_refused', details: { code: 'reach.key_rotated' } })
})
