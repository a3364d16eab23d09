// The search on a local network, over loopback taken for one: the peer that is asked for answers, nobody else does, and what strangers send changes nothing.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock as clock } from '../../../kernel/clock.ts'
import { type Log, silentLog as log } from '../../../kernel/log.ts'
import { createIdentity } from '../../identity/identity.ts'
import { type LanAnswersSettings, answerOnLan } from './answers.ts'
import { type LanNetwork, lanNetwork, lanNetworks } from './network.ts'
import { lanAnswer, lanAnswerPort, lanQuestion, lanQuestionId } from './packet.ts'
import { searchLan } from './search.ts'

const alice = createIdentity().peerId
const bob = createIdentity().peerId
const here = lanNetwork('127.0.0.1', 8)
const elsewhere: LanNetwork = { address: '127.0.0.1', contains: () => false }

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}

function answering(peerId: string, tcp: number, settings: LanAnswersSettings): void {
  const addresses = (): string[] => [`/ip4/127.0.0.1/tcp/${tcp}/p2p/${peerId}`]
  const answers = answerOnLan({ peerId, addresses, clock, log }, { networks: () => [here], ...settings })
  onTestFinished(() => answers.close())
}

async function search(peerId: string, port: number, networks: readonly LanNetwork[] = [here]): Promise<string[]> {
  const found: string[] = []
  await searchLan({ clock }, peerId, (address) => found.push(address), undefined, { port, networks })
  return found
}

describe('over loopback', () => {
  test('the one who is asked for is found, each of several on one machine', async () => {
    const port = await freeUdpPort()
    answering(alice, 1111, { port })
    answering(bob, 2222, { port })
    const [one, two, nobody] = await Promise.all([search(alice, port), search(bob, port), search(createIdentity().peerId, port)])
    expect(one).toEqual([`/ip4/127.0.0.1/tcp/1111/p2p/${alice}`])
    expect(two).toEqual([`/ip4/127.0.0.1/tcp/2222/p2p/${bob}`])
    expect(nobody).toEqual([])
  })

  test('nobody farther away is answered, nor is an answer from there taken', async () => {
    const [near, far] = [await freeUdpPort(), await freeUdpPort()]
    answering(alice, 1111, { port: near })
    answering(alice, 1111, { port: far, networks: () => [elsewhere] })
    expect(await search(alice, far)).toEqual([])
    expect(await search(alice, near, [elsewhere])).toEqual([])
    expect(await search(alice, near)).toHaveLength(1)
  })

  test('who listens on loopback alone, or nowhere on the network, opens no port', async () => {
    const port = await freeUdpPort()
    answering(alice, 1111, { port, networks: lanNetworks })
    const socket = createSocket('udp4') // without reuseAddr: it would fail beside another one
    onTestFinished(() => void socket.close())
    socket.bind(port)
    await once(socket, 'listening')
  })

  test('without a network nothing is found, at once', async () => {
    expect(await search(alice, 1, [])).toEqual([])
  })

  test('a port that is taken is said once, and no failure', async () => {
    const socket = createSocket('udp4').bind(0) // shared with nobody
    onTestFinished(() => void socket.close())
    await once(socket, 'listening')
    const said: string[] = []
    const heard: Log = { ...log, warn: (event) => said.push(event) }
    const needs = { peerId: alice, addresses: () => ['/ip4/127.0.0.1/tcp/1'], clock, log: heard }
    const answers = answerOnLan(needs, { port: socket.address().port, networks: () => [here] })
    await expect.poll(() => said).toEqual(['peer.lan.not_answering'])
    answers.close()
  })

  test('a liar is handed on, at most eight; what is no answer is not', async () => {
    const port = await freeUdpPort()
    const liar = createSocket('udp4').bind(port, '0.0.0.0', () => liar.addMembership('224.0.0.251', '127.0.0.1'))
    onTestFinished(() => void liar.close())
    liar.on('message', (bytes, from) => {
      const id = bytes.readUInt16BE()
      const say = (packet: Buffer): void => liar.send(packet, from.port, from.address)
      say(lanAnswer(alice, id ^ 1, 7)) // another question's
      say(lanAnswer(bob, id, 7)) // another peer's
      say(Buffer.concat([lanAnswer(alice, id, 7), Buffer.from([0])]))
      say(Buffer.alloc(0))
      for (let tcp = 1; tcp <= 40; tcp++) say(lanAnswer(alice, id, tcp))
    })
    await once(liar, 'listening')
    const found = await search(alice, port)
    expect(found).toHaveLength(8)
    for (const address of found) expect(address).toMatch(new RegExp(`^/ip4/127\\.0\\.0\\.1/tcp/\\d+/p2p/${alice}$`))
  })

  test('no more than 64 answers a second, whoever asks', async () => {
    const port = await freeUdpPort()
    answering(alice, 1111, { port })
    const asker = createSocket('udp4').bind(0, '127.0.0.1')
    onTestFinished(() => void asker.close())
    await once(asker, 'listening')
    let heard = 0
    asker.on('message', () => heard++)
    const from = performance.now()
    for (let sent = 0; sent < 500; sent++) await new Promise((resolve) => asker.send(lanQuestion(alice, sent), port, '127.0.0.1', resolve))
    await search(alice, port)
    const seconds = Math.ceil((performance.now() - from) / 1000) + 1
    expect(heard).toBeGreaterThan(0)
    expect(heard).toBeLessThanOrEqual(64 * seconds)
    expect(heard).toBeLessThan(500)
  })
})

describe('the packets', () => {
  type Vectors = { readonly cases: readonly { peerId: string; id: number; port: number; question: string; answer: string }[] }
  const file = join(import.meta.dirname, '../../../../spec/vectors/lan/cases.json')
  test('are those of spec/lan.md', () => {
    const { cases } = JSON.parse(readFileSync(file, 'utf8')) as Vectors
    expect(cases.length).toBeGreaterThan(2)
    for (const { peerId, id, port, question, answer } of cases) {
      expect(lanQuestion(peerId, id).toString('hex')).toBe(question)
      expect(lanAnswer(peerId, id, port).toString('hex')).toBe(answer)
    }
  })

  const id = fc.integer({ min: 0, max: 65_535 })
  const port = fc.integer({ min: 1, max: 65_535 })
  test('are read as they were written, for this peer and this question alone', () => {
    fc.assert(
      fc.property(id, port, id, (id, port, other) => {
        expect(lanQuestionId(lanQuestion(alice, id), alice)).toBe(id)
        expect(lanQuestionId(lanQuestion(alice, id), bob)).toBeUndefined()
        expect(lanAnswerPort(lanAnswer(alice, id, port), alice, id)).toBe(port)
        expect(lanAnswerPort(lanAnswer(alice, id, port), bob, id)).toBeUndefined()
        if (other !== id) expect(lanAnswerPort(lanAnswer(alice, id, port), alice, other)).toBeUndefined()
      }),
    )
  })

  test('with one byte changed, added or taken away say nothing else', () => {
    fc.assert(
      fc.property(id, port, fc.nat(), fc.integer({ min: 1, max: 255 }), (id, port, at, flip) => {
        const changed = lanAnswer(alice, id, port)
        changed[at % changed.length]! ^= flip
        const read = lanAnswerPort(changed, alice, id)
        if (read !== undefined) expect(lanAnswer(alice, id, read)).toEqual(changed)
        expect(lanAnswerPort(changed.subarray(0, -1), alice, id)).not.toBe(port)
        expect(lanAnswerPort(Buffer.concat([changed, Buffer.from('0')]), alice, id)).toBeUndefined()
      }),
    )
  })
})
