// R5 and R6 with a recipient who is away, as people meet it: real processes, killed at nasty moments, and a registry whose files tell nothing.
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Person, type ReachBench, type Service, freePort, local, reachBench } from '../../../test/kit/reach-bench.ts'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { seal } from '../../base/identity/seal.ts'
import { loadWallet } from '../../base/identity/wallet.ts'
import { type PeerHost, createPeerHost } from '../../base/peer/host/host.ts'
import { homeIn } from '../home.ts'
import { readJson } from '../json-frames.ts'
import { knownRegistries, parseServer } from '../registry/known-registries.ts'
import { connectMailbox, leaveMessage } from './client.ts'
import { messagesAfter } from '../message/inbox.ts'
import { signMessage } from '../message/message.ts'
import { openMessageDesk } from '../message/desk.ts'
import { messageProtocol, readRequest } from '../message/protocol.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

type Shown = { messages: { text: string; from: string }[]; unreadable: { code: string }[] }
const homeOf = ({ home }: { home: string }) => homeIn(join(bench.folder, home, '.local/state/fairlead/reach'))
const inboxOf = async ({ home }: Person, ...words: string[]): Promise<Shown> =>
  JSON.parse((await bench.run(home, 'inbox', '--json', '--limit', '1000', ...words)).stdout) as Shown
const textsOf = async (person: Person): Promise<string[]> => (await inboxOf(person)).messages.map(({ text }) => text)
const heard = ({ lines }: Service): string[] =>
  lines.slice(1).map((line) => (JSON.parse(line) as { message: { text: string } }).message.text)
const historyOf = async ({ home }: Person): Promise<object[]> =>
  (JSON.parse((await bench.run(home, 'history', '--json', '--limit', '1000')).stdout) as { entries: object[] }).entries

/** A registry at a port that stays, and people who are registered there. */
async function town(people: number, ...words: string[]) {
  const [box, ...others] = await bench.people(people)
  const home = `registry-${box!.home}`
  const port = await freePort()
  const start = () => bench.serve(home, 'registry', '--host', '127.0.0.1', '--port', String(port), ...words)
  const registry = await start()
  for (const { home: theirs } of [box!, ...others])
    expect((await bench.run(theirs, 'register', '--server', `localhost:${port}`)).exitCode).toBe(0)
  return { box: box!, mac: others[0]!, others, registry, start, port, folder: homeOf({ home }).registry }
}

function filesIn(folder: string): Buffer {
  return Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))))
}

/** One who sends without a process of its own. */
async function correspondent(port: number) {
  const identity = createIdentity()
  const host: PeerHost = await createPeerHost({ identity, clock, log }, { listen: [] })
  bench.undo(() => host.close())
  const known = knownRegistries(join(bench.folder, `known-${identity.peerId}.json`))
  const server = parseServer(`localhost:${port}`)
  const leave = async (to: string, text: string): Promise<void> => {
    const { signed } = await signMessage(identity, to, text, clock.now(), { mayWait: true })
    await leaveMessage({ host, clock, known }, server, { to, signed })
  }
  const mailbox = () => connectMailbox({ host, clock, known }, server)
  return { leave, mailbox }
}

describe('a recipient who is away', () => {
  test('gets it when it listens again; the sender is told so plainly; nothing of it is to be read at the registry', async () => {
    const { box, mac, folder, registry } = await town(1)
    const left = await bench.run(mac.home, 'send', box.home, 'under the third oak')
    expect(left).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining(`left in the mailbox of ${box.home} (${box.peerId})`) as string,
    })
    expect(left.stdout).toMatch(/sealed; .* expires \d{4}-/)
    const told = JSON.parse((await bench.run(mac.home, 'send', box.peerId, 'and the second', '--json')).stdout) as object
    expect(told).toMatchObject({ delivered: false, mailbox: true, to: box.peerId })
    expect(await historyOf(mac)).toMatchObject([0, 1].map(() => ({ event: 'sent', peer: box.peerId, delivered: false, mailbox: true })))
    const listening = await bench.serve(box.home, 'listen', ...local)
    await expect.poll(() => heard(listening), { timeout: 15_000 }).toEqual(['under the third oak', 'and the second'])
    expect(await historyOf(box)).toMatchObject([0, 1].map(() => ({ event: 'received', peer: mac.peerId, mailbox: true })))
    expect((await inboxOf(box)).messages.map(({ from }) => from)).toEqual([mac.peerId, mac.peerId])
    for (const { home } of [box, mac]) expect((await bench.run(home, 'history', '--verify')).exitCode).toBe(0)
    await listening.stop()
    await registry.stop('SIGKILL')
    const files = filesIn(folder)
    expect(files.includes(box.peerId)).toBe(true)
    for (const secret of ['third oak', 'and the second']) expect(files.includes(secret)).toBe(false)
  })

  test('the registry’s files do not name the sender either', async () => {
    const { box, folder, port } = await town(1)
    const visitor = `visitor-${box.home}`
    const { peerId } = JSON.parse((await bench.run(visitor, 'init', '--name', 'NamelessVisitor', '--json')).stdout) as { peerId: string }
    const left = await bench.run(visitor, 'send', box.home, 'you do not know me', '--server', `localhost:${port}`)
    expect(left.exitCode).toBe(0)
    const files = filesIn(folder)
    for (const secret of [peerId, 'NamelessVisitor', 'you do not know me']) expect(files.includes(secret)).toBe(false)
    expect((await inboxOf(box)).messages).toMatchObject([{ from: peerId, text: 'you do not know me' }])
  })

  test('looks into it without any other process; nobody else can; --no-mailbox, a full one and an unknown peer are faults', async () => {
    const { box, mac, port } = await town(1)
    expect((await bench.run(mac.home, 'send', box.home, 'one')).exitCode).toBe(0)
    expect((await inboxOf(mac)).messages).toEqual([])
    const thief = await correspondent(port)
    const client = await thief.mailbox()
    expect(await client.fetch()).toEqual([])
    client.close()
    expect((await inboxOf(box, '--no-fetch')).messages).toEqual([])
    expect(await textsOf(box)).toEqual(['one'])
    expect(await textsOf(box)).toEqual(['one'])
    const now = await bench.run(mac.home, 'send', box.home, 'now', '--no-mailbox')
    expect(now).toMatchObject({ exitCode: 5, stdout: '', stderr: expect.stringMatching(/^fairlead: error: Peer not found: /m) as string })
    const unknown = await bench.run(mac.home, 'send', createIdentity().peerId, 'who?')
    expect(unknown).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/^fairlead: error: Peer not found: /m) as string })
    for (let i = 0; i < 8; i++) {
      const { leave } = await correspondent(port)
      for (let j = 0; j < 32; j++) await leave(box.peerId, `${i} ${j}`)
    }
    const full = await bench.run(mac.home, 'send', box.home, 'no room')
    expect(full).toMatchObject({ exitCode: 5, stderr: expect.stringMatching(/Peer not found: .*the mailbox of .* is full/) as string })
    await expect.poll(() => textsOf(box), { timeout: 60_000 }).toHaveLength(257) // a visit takes no longer than 5 s
  }, 120_000)

  test('a registry that is away, too: exit code 5, and it says both; inbox shows what is here and says what it could not do', async () => {
    const { box, mac, registry } = await town(1)
    expect((await bench.run(mac.home, 'send', box.home, 'one')).exitCode).toBe(0)
    expect(await textsOf(box)).toEqual(['one'])
    await registry.stop('SIGKILL')
    expect((await bench.run(mac.home, 'send', box.peerId, 'two')).exitCode).toBe(5)
    const shown = await bench.run(box.home, 'inbox')
    expect(shown).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('could not be emptied') as string })
    expect(shown.stdout).toContain('one')
  })
})

describe('killed', () => {
  test('a registry, again and again while many leave messages: what was left is there, once', async () => {
    const { box, registry, start, port } = await town(1)
    const sender = await correspondent(port)
    const texts = Array.from({ length: 60 }, (_, i) => `message ${i}`)
    const isLeft = new Map<string, boolean>()
    const leaving = (async () => {
      for (const text of texts) {
        const outcome = await sender.leave(box.peerId, text).then(
          () => true,
          () => false,
        )
        isLeft.set(text, outcome)
      }
    })()
    let running = registry
    for (const share of [0.2, 0.5, 0.8]) {
      await expect.poll(() => isLeft.size, { timeout: 60_000, interval: 1 }).toBeGreaterThan(texts.length * share)
      await running.stop('SIGKILL')
      running = await start()
    }
    await leaving
    const found = await textsOf(box)
    expect(new Set(found).size).toBe(found.length)
    expect(found).toEqual(expect.arrayContaining(texts.filter((text) => isLeft.get(text))))
    expect(texts.filter((text) => isLeft.get(text)).length).toBeGreaterThan(texts.length / 2)
    expect(await textsOf(box)).toHaveLength(found.length)
  }, 120_000)

  test('a recipient, again and again while it fetches: each message is there, once', async () => {
    const { box, port } = await town(1)
    const sender = await correspondent(port)
    const texts = Array.from({ length: 50 }, (_, i) => `message ${i}`)
    for (const text of texts) await sender.leave(box.peerId, text)
    const kept = (): number => messagesAfter(homeOf(box).inbox).length
    for (const least of [1, 12, 30]) {
      const listening = await bench.serve(box.home, 'listen', ...local)
      await expect.poll(kept, { timeout: 30_000, interval: 1 }).toBeGreaterThanOrEqual(least)
      await listening.stop('SIGKILL')
    }
    expect((await textsOf(box)).toSorted()).toEqual(texts.toSorted())
    expect(await textsOf(box)).toHaveLength(50)
    const ids = (await historyOf(box)).map((entry) => (entry as { id: string }).id)
    expect(new Set(ids).size).toBe(ids.length)
  }, 120_000)
})

describe('there, but', () => {
  test('it took the message, and its receipt was lost: the message is left as well, and shown once', async () => {
    const { box, mac } = await town(1)
    const { identity } = await loadWallet(homeOf(box).wallet)
    const mute = await createPeerHost({ identity, clock, log }, { listen: ['/ip4/127.0.0.1/tcp/0'] })
    bench.undo(() => mute.close())
    const taken: string[] = []
    mute.handle(messageProtocol, (stream) => {
      void (async () => {
        const desk = openMessageDesk({ identity, home: homeOf(box), clock, log })
        await desk.take(stream.remotePeer, readRequest((await readJson(stream.duplex, 1 << 20).next()).value))
        await desk.close()
        taken.push(stream.remotePeer)
        stream.abort()
      })()
    })
    writeFileSync(homeOf(mac).addresses, JSON.stringify({ [box.peerId]: mute.addresses() }))
    const sent = await bench.run(mac.home, 'send', box.peerId, 'perhaps', '--json')
    expect(taken).toEqual([mac.peerId])
    expect(JSON.parse(sent.stdout)).toMatchObject({ delivered: false, mailbox: true, why: expect.stringContaining('no receipt') as string })
    expect((await bench.run(mac.home, 'send', box.peerId, 'directly or not', '--no-mailbox')).exitCode).toBe(5)
    await mute.close()
    expect(await textsOf(box)).toEqual(['perhaps', 'directly or not'])
    expect(await historyOf(mac)).toMatchObject([{ delivered: false, mailbox: true }, { delivered: false }])
  })

  test('a host that runs is told at once, through whatever it is the host for; attached processes see it', async () => {
    const { box, port } = await town(1)
    await bench.serve(box.home, 'agent', ...local)
    const listening = await bench.serve(box.home, 'listen', ...local)
    const sender = await correspondent(port)
    await sender.leave(box.peerId, 'first')
    await expect.poll(() => heard(listening), { timeout: 15_000 }).toEqual(['first'])
    await sender.leave(box.peerId, 'second')
    await expect.poll(() => heard(listening), { timeout: 15_000 }).toEqual(['first', 'second'])
    expect(await textsOf(box)).toEqual(['first', 'second'])
  })

  test('its wallet is another: what was for the old one is nothing that stops it; rubbish is listed, and fetched no more', async () => {
    const { box, mac, port } = await town(1)
    expect((await bench.run(mac.home, 'send', box.home, 'for the old one')).exitCode).toBe(0)
    expect(await textsOf(box)).toEqual(['for the old one'])
    rmSync(homeOf(box).wallet)
    const made = JSON.parse((await bench.run(box.home, 'init', '--name', box.home, '--json')).stdout) as { peerId: string }
    expect((await bench.run(box.home, 'register')).exitCode).toBe(0)
    const stranger = await correspondent(port)
    const client = await stranger.mailbox()
    await client.leave(made.peerId, await seal(box.peerId, Buffer.from('sealed to the old key')))
    await client.leave(made.peerId, Buffer.from('rubbish'))
    client.close()
    await stranger.leave(made.peerId, 'for the new one')
    const shown = await bench.run(box.home, 'inbox')
    expect(shown.exitCode).toBe(0)
    expect(shown.stdout).toMatch(/unreadable, kept in .*\n(?: {2}\d{15}\.json .* does not open with the key of .*\n){2}/)
    const { messages, unreadable } = await inboxOf(box)
    expect(messages.map(({ text }) => text)).toEqual(['for the old one', 'for the new one'])
    expect(unreadable.map(({ code }) => code)).toEqual(['seal.not_opened', 'seal.not_opened'])
    rmSync(homeOf(box).unreadable, { recursive: true })
    expect((await inboxOf(box)).unreadable).toEqual([])
    const listening = await bench.serve(box.home, 'listen', ...local)
    expect((await bench.run(mac.home, 'send', made.peerId, 'directly')).stdout).toContain('delivered to')
    await expect.poll(() => heard(listening), { timeout: 15_000 }).toEqual(['directly'])
  })
})

test('a registry answers for its settings', async () => {
  const port = await freePort()
  const wrong = await bench.run('registry-wrong', 'registry', '--host', '127.0.0.1', '--port', String(port), '--mailbox-days', '8')
  expect(wrong).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('8 days') as string })
  const { box, mac } = await town(1, '--mailbox-mib', '0')
  const left = await bench.run(mac.home, 'send', box.home, 'hello')
  expect(left).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('could not be left in a mailbox') as string })
})
