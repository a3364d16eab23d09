// R5 and R6 as people meet them: real processes, a home for each, a registry between them.
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  type Person,
  type ReachBench,
  type Service,
  echoCommand,
  freePort,
  local,
  portOf,
  reachBench,
} from '../../../test/kit/reach-bench.ts'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { loadWallet } from '../../base/identity/wallet.ts'
import { createPeerHost } from '../../base/peer/host/host.ts'
import { jsonFrame, readJson } from '../json-frames.ts'
import { signMessage } from './message.ts'
import { messageProtocol, requestValue } from './protocol.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

type Shown = { message: { from: string; text: string } }
const folderOf = ({ home }: Person): string => join(bench.folder, home, '.local/state/fairlead/reach')
const heard = ({ lines }: Service): Shown['message'][] => lines.slice(1).map((line) => (JSON.parse(line) as Shown).message)
const inboxOf = async ({ home }: Person): Promise<string[]> =>
  (JSON.parse((await bench.run(home, 'inbox', '--json')).stdout) as { messages: { text: string }[] }).messages.map(({ text }) => text)

describe('R5: send', () => {
  test('finds the recipient by id, prefix and name; says which ones when more than one is meant; listen, inbox and history tell of it', async () => {
    const [box, mac] = await bench.people(1)
    const registry = await bench.serve(`registry-${box!.home}`, 'registry', ...local)
    const server = ['--server', `localhost:${portOf(registry)}`]
    const listening = await bench.serve(box!.home, 'listen', ...local, ...server)
    await expect
      .poll(async () => (await bench.run(mac!.home, 'peers', ...server)).stdout, { timeout: 10_000 })
      .toContain(listening.addresses[0]!)
    expect((await bench.run(mac!.home, 'register', ...server)).exitCode).toBe(0)
    for (const peer of [box!.peerId, box!.home, box!.peerId.slice(0, 20)]) {
      const sent = await bench.run(mac!.home, 'send', peer, `to ${peer}`, ...server)
      expect(sent).toMatchObject({ exitCode: 0, stdout: `delivered to ${box!.peerId}\n` })
    }
    await expect.poll(() => heard(listening)).toHaveLength(3)
    expect(heard(listening)[1]).toMatchObject({ from: mac!.peerId, text: `to ${box!.home}` })
    expect(await inboxOf(box!)).toEqual([box!.peerId, box!.home, box!.peerId.slice(0, 20)].map((peer) => `to ${peer}`))
    const twin = `twin-of-${box!.home}`
    const { peerId } = JSON.parse((await bench.run(twin, 'init', '--name', box!.home, '--json')).stdout) as { peerId: string }
    expect((await bench.run(twin, 'register', ...server)).exitCode).toBe(0)
    const ambiguous = await bench.run(mac!.home, 'send', box!.home, 'whom?', ...server)
    expect(ambiguous).toMatchObject({ exitCode: 2, stdout: '' })
    for (const candidate of [box!.peerId, peerId]) expect(ambiguous.stderr).toContain(candidate)
    for (const person of [box!, mac!]) {
      const verified = await bench.run(person.home, 'history', '--verify', '--json')
      expect(verified.exitCode).toBe(0)
      expect(JSON.parse(verified.stdout)).toMatchObject({ intact: true, entries: 3 })
      expect(await readFile(join(folderOf(person), 'blockchain.json'), 'utf8')).not.toContain('to ')
    }
    const status = await bench.run(box!.home, 'status')
    expect(status.stdout).toContain('3 messages')
  })

  test('goes through a host that runs already, and arrives wherever the recipient’s runs: agent or mcp-serve', async () => {
    const [box, mac] = await bench.people(1)
    const serving = await bench.serve(
      box!.home,
      'mcp-serve',
      '--authorized-peer',
      createIdentity().peerId,
      '--command',
      echoCommand,
      ...local,
    )
    const second = await bench.serve(box!.home, 'listen', ...local)
    await bench.serve(mac!.home, 'agent', ...local)
    const at = ['--address', serving.addresses[0]!]
    expect((await bench.run(mac!.home, 'send', box!.peerId, 'one', ...at)).exitCode).toBe(0)
    await expect.poll(() => heard(second).map(({ text }) => text)).toEqual(['one'])
    await serving.stop('SIGKILL') // the listener takes its place
    await expect.poll(async () => (await bench.run(mac!.home, 'send', box!.peerId, 'two', ...at)).exitCode, { timeout: 15_000 }).toBe(0)
    await expect.poll(() => heard(second).map(({ text }) => text)).toEqual(['one', 'two'])
  })

  test('many at once, both ways: each arrives once, and the histories stay whole', async () => {
    const [box, mac] = await bench.people(1)
    const [at, back] = [await bench.serve(box!.home, 'listen', ...local), await bench.serve(mac!.home, 'listen', ...local)]
    const sent = await Promise.all(
      Array.from({ length: 4 }, async (_, i) => [
        await bench.run(mac!.home, 'send', box!.peerId, `there ${i}`, '--address', at.addresses[0]!),
        await bench.run(box!.home, 'send', mac!.peerId, `back ${i}`, '--address', back.addresses[0]!),
      ]),
    )
    expect(sent.flat().map(({ exitCode }) => exitCode)).toEqual(Array.from({ length: 8 }, () => 0))
    expect((await inboxOf(box!)).sort()).toEqual(['there 0', 'there 1', 'there 2', 'there 3'])
    expect((await inboxOf(mac!)).sort()).toEqual(['back 0', 'back 1', 'back 2', 'back 3'])
    for (const { home } of [box!, mac!])
      expect(JSON.parse((await bench.run(home, 'history', '--verify', '--json')).stdout)).toMatchObject({ intact: true, entries: 8 })
  })

  test('says clearly who is not there: exit code 5, and 1 for somebody whom nobody knows; nothing that is no message leaves', async () => {
    const [box, mac] = await bench.people(1)
    const registry = await bench.serve(`registry-${box!.home}`, 'registry', ...local)
    const server = ['--server', `localhost:${portOf(registry)}`]
    expect((await bench.run(box!.home, 'register', ...server)).exitCode).toBe(0)
    const absent = await bench.run(mac!.home, 'send', box!.home, 'are you there?', '--no-mailbox', ...server)
    expect(absent).toMatchObject({ exitCode: 5, stdout: '' })
    expect(absent.stderr).toMatch(/^fairlead: error: Peer not found: .*nothing was delivered/m)
    const nobody = ['--address', `/ip4/127.0.0.1/tcp/${await freePort()}`]
    expect((await bench.run(mac!.home, 'send', box!.peerId, 'hello?', ...nobody)).exitCode).toBe(5)
    const unknown = await bench.run(mac!.home, 'send', 'Nobody', 'hello?', ...server)
    expect(unknown).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/^fairlead: error: Peer not found: /m) as string })
    expect((await bench.run(mac!.home, 'send', box!.home, '', ...server)).exitCode).toBe(2)
    const listening = await bench.serve(box!.home, 'listen', ...local)
    const wrong = ['--address', listening.addresses[0]!.replace(/\/p2p\/.*/, '')]
    const stranger = await bench.run(mac!.home, 'send', createIdentity().peerId, 'hello?', ...wrong)
    expect(stranger).toMatchObject({ exitCode: 4, stderr: expect.stringMatching(/^fairlead: error: Handshake Failed: /m) as string })
  })
})

test('on the wire there is nothing to read', async () => {
  const [box, mac] = await bench.people(1)
  const { seen, address } = await bench.tap(await bench.serve(box!.home, 'listen', ...local))
  expect((await bench.run(mac!.home, 'send', box!.peerId, 'Secret: under the third oak', '--address', address)).exitCode).toBe(0)
  for (const word of ['Secret', 'third oak', 'message', mac!.peerId]) expect(seen().includes(word)).toBe(false)
  expect(seen().includes('/noise')).toBe(true) // the search itself can find something
})

test('a message is not taken again after a SIGKILL of the one who took it', async () => {
  const [box, mac] = await bench.people(1)
  const { identity } = await loadWallet(join(folderOf(mac!), 'wallet.json'))
  const host = await createPeerHost({ identity, clock, log }, { listen: [] })
  bench.undo(() => host.close())
  const { signed } = await signMessage(identity, box!.peerId, 'once', clock.now())
  const bring = async ({ addresses }: Service): Promise<unknown> => {
    const { duplex } = await host.dial(box!.peerId, addresses, messageProtocol)
    duplex.end(jsonFrame(requestValue(signed)))
    return (await readJson(duplex, 1 << 20).next()).value as unknown
  }
  const first = await bench.serve(box!.home, 'agent', ...local)
  expect(await bring(first)).toMatchObject({ receipt: expect.any(String) as string })
  await first.stop('SIGKILL')
  expect(await bring(await bench.serve(box!.home, 'listen', ...local))).toMatchObject({ refused: { code: 'reach.message_replayed' } })
  expect(await inboxOf(box!)).toEqual(['once'])
})

describe('R6: listen, inbox, history', () => {
  test('control characters in a text never reach a terminal, and --json is one line for each message', async () => {
    const [box, mac] = await bench.people(1)
    const listening = await bench.serve(box!.home, 'listen', ...local)
    const text = 'a\u001b[2J\u001b]0;owned\u0007\u009b31m\u202etxt\nsecond line\r'
    expect((await bench.run(mac!.home, 'send', box!.peerId, text, '--address', listening.addresses[0]!)).exitCode).toBe(0)
    await expect.poll(() => heard(listening)).toMatchObject([{ from: mac!.peerId, text }])
    const outputs = [listening.lines.join('\n')]
    for (const words of [['inbox'], ['inbox', '--json'], ['history'], ['history', '--json']])
      outputs.push((await bench.run(box!.home, ...words)).stdout)
    for (const output of outputs) expect(output).not.toMatch(/[^\P{C}\n]/u)
    expect(outputs[1]).toContain('\n  a\\u{1b}[2J')
    expect(await inboxOf(box!)).toEqual([text])
  })

  test('a damaged history is named by its first bad entry and hinders nobody; a deleted one begins anew, the listener running or not', async () => {
    const [box, mac] = await bench.people(1)
    const listening = await bench.serve(box!.home, 'listen', ...local)
    const send = async (text: string): Promise<number> =>
      (await bench.run(mac!.home, 'send', box!.peerId, text, '--address', listening.addresses[0]!)).exitCode
    const verify = async ({ home }: Person): Promise<{ exitCode: number; verdict: Record<string, unknown> }> => {
      const { exitCode, stdout } = await bench.run(home, 'history', '--verify', '--json')
      return { exitCode, verdict: JSON.parse(stdout) as Record<string, unknown> }
    }
    for (const text of ['one', 'two', 'three']) expect(await send(text)).toBe(0)
    for (const person of [box!, mac!]) {
      const file = join(folderOf(person), 'blockchain.json')
      expect((await stat(file)).mode & 0o777).toBe(0o600)
      const lines = (await readFile(file, 'utf8')).split('\n')
      expect(lines).toHaveLength(4)
      lines[1] = lines[1]!.replace(/"peer":"12D3/, '"peer":"12D4')
      await writeFile(file, lines.join('\n'))
      expect(await verify(person)).toMatchObject({ exitCode: 3, verdict: { intact: false, firstBad: { line: 2, seq: 2 } } })
    }
    expect(await send('four')).toBe(0)
    expect(await verify(box!)).toMatchObject({ exitCode: 3, verdict: { firstBad: { line: 2 } } })
    for (const person of [box!, mac!]) await rm(join(folderOf(person), 'blockchain.json'))
    expect(await verify(box!)).toMatchObject({ exitCode: 0, verdict: { entries: 0 } })
    expect(await send('five')).toBe(0)
    for (const person of [box!, mac!]) expect(await verify(person)).toMatchObject({ exitCode: 0, verdict: { intact: true, entries: 1 } })
    for (const person of [box!, mac!]) {
      await rm(join(folderOf(person), 'blockchain.json'))
      await mkdir(join(folderOf(person), 'blockchain.json')) // nothing can be written there
    }
    expect(await send('six')).toBe(0)
    await expect.poll(() => heard(listening).map(({ text }) => text)).toEqual(['one', 'two', 'three', 'four', 'five', 'six'])
  })

  test('the inbox outlives the listener; what came before listen is not shown by it again', async () => {
    const [box, mac] = await bench.people(1)
    const words = ['listen', '--host', '127.0.0.1', '--port', String(await freePort())]
    const first = await bench.serve(box!.home, ...words)
    const at = ['--address', first.addresses[0]!]
    expect((await bench.run(mac!.home, 'send', box!.peerId, 'before', ...at)).exitCode).toBe(0)
    await first.stop('SIGKILL')
    const second = await bench.serve(box!.home, ...words)
    expect((await bench.run(mac!.home, 'send', box!.peerId, 'after', ...at)).exitCode).toBe(0)
    await expect.poll(() => heard(second).map(({ text }) => text)).toEqual(['after'])
    expect(await inboxOf(box!)).toEqual(['before', 'after'])
    expect(await second.stop()).toBe(0)
  })
})
