// The list "bad input and abuse" of reach, a test for each line, against real processes: refused, logged, and the service goes on. Those who attack have a
// host of their own in this process and say what they like; what they met is seen from outside.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { type Socket, connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { McpClient } from '../../test/kit/mcp-client.ts'
import { type Person, type ReachBench, type Service, echoCommand, local, portOf, reachBench } from '../../test/kit/reach-bench.ts'
import { systemClock as clock } from '../kernel/clock.ts'
import { silentLog as log } from '../kernel/log.ts'
import { randomId } from '../kernel/random.ts'
import { type Identity, createIdentity } from '../base/identity/identity.ts'
import { loadWallet } from '../base/identity/wallet.ts'
import { type PeerHost, type PeerStream, createPeerHost } from '../base/peer/host/host.ts'
import { hopProtocol } from '../base/peer/relay/message.ts'
import { tunnelProtocol } from '../base/peer/tunnel/tunnel.ts'
import { signOffer } from './file/offer.ts'
import { fileProtocol, offerValue } from './file/protocol.ts'
import { homeIn } from './home.ts'
import { jsonFrame, readJson } from './json-frames.ts'
import { signMessage } from './message/message.ts'
import { messageProtocol, requestValue } from './message/protocol.ts'
import { signCard } from './node/peer-card.ts'
import { registryProtocol, requestValue as registryValue } from './registry/protocol.ts'

let bench: ReachBench
let box: Person
let mac: Person
let registry: Service
/** Serves an echo server to `mac`, and takes messages. */
let serving: Service
/** `mac`'s, open from the first attack to the last. */
let session: McpClient
let sessionPid: string
let authorizedFile: string
const hosts: PeerHost[] = []

beforeAll(async () => {
  bench = await reachBench()
  const [first, second] = await bench.people(1)
  box = first!
  mac = second!
  authorizedFile = join(bench.folder, 'authorized')
  await writeFile(authorizedFile, `${mac.peerId}\n`)
  registry = await bench.serve('registry', 'registry', ...local)
  const server = ['--server', `localhost:${portOf(registry)}`]
  serving = await bench.serve(box.home, 'mcp-serve', '--authorized-file', authorizedFile, '--command', echoCommand, ...local, ...server)
  session = bench.client(mac.home, box.peerId, '--address', serving.addresses[0]!)
  await session.initialize()
  sessionPid = await session.call('pid')
})

/** After every attack: the same session at the same server, an honest message, a look-up at the registry. */
afterEach(async () => {
  expect(await session.call('pid')).toBe(sessionPid)
  const friend = await attacker()
  const sent = await answerTo(await friend.to(messageProtocol), await message(friend.identity, box.peerId, 'honest'))
  expect(sent).toMatchObject({ receipt: expect.any(String) as string })
  const found = await answerTo(await friend.to(registryProtocol, registry), jsonFrame({ do: 'lookup', peer: box.peerId }))
  expect(found).toMatchObject({ ok: { cards: [expect.anything()] } })
  for (const host of hosts.splice(0)) await host.close()
})
afterAll(() => bench.close())

type Attacker = { readonly identity: Identity; readonly host: PeerHost; to(protocol: string, service?: Service): Promise<PeerStream> }

async function attacker(identity = createIdentity()): Promise<Attacker> {
  const host = await createPeerHost({ identity, clock, log }, { listen: [] })
  hosts.push(host)
  return { identity, host, to: (protocol, service = serving) => host.dial(service.peerId, service.addresses, protocol) }
}

/** `mac` itself, with its own key, by other means than its own processes. */
async function asMac(): Promise<Attacker> {
  const { identity } = await loadWallet(join(bench.folder, mac.home, '.local/state/fairlead/reach/wallet.json'))
  return attacker(identity)
}

/** What is answered to these bytes; undefined when the stream ends without an answer. */
async function answerTo(stream: PeerStream, bytes: Uint8Array): Promise<unknown> {
  stream.duplex.on('error', () => {})
  stream.duplex.write(bytes)
  try {
    return (await readJson(stream.duplex, 1 << 20).next()).value as unknown
  } catch {
    return undefined
  } finally {
    stream.abort()
  }
}
const message = async (from: Identity, to: string, text: string, now = clock.now()): Promise<Buffer> =>
  jsonFrame(requestValue((await signMessage(from, to, text, now)).signed))
const card = async (owner: Identity, sequence: number): Promise<Buffer> =>
  jsonFrame(
    registryValue({ do: 'publish', card: await signCard(owner, { name: 'a', addresses: [], expiresAt: clock.now() + 60_000, sequence }) }),
  )
const refused = (code: string) => ({ refused: { code } })
const inbox = async (): Promise<string> => (await bench.run(box.home, 'inbox')).stdout
const logged = (service: Service, words: string) => expect.poll(service.log, { timeout: 10_000 }).toContain(words)

async function closed(socket: Socket): Promise<Buffer> {
  const heard: Buffer[] = []
  socket.on('data', (chunk: Buffer) => void heard.push(chunk)).on('error', () => {})
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
  return Buffer.concat(heard)
}

test('claiming another’s id', async () => {
  const eve = await attacker()
  const { signed: forged } = await signMessage(eve.identity, box.peerId, 'I owe you', clock.now())
  const victim = createIdentity()
  const claimed = Uint8Array.from(forged)
  claimed.set(victim.publicKey, Buffer.from(forged).indexOf(eve.identity.publicKey))
  expect(await answerTo(await eve.to(messageProtocol), jsonFrame(requestValue(claimed)))).toMatchObject(refused('reach.message_invalid'))
  expect(await answerTo(await eve.to(messageProtocol), await message(victim, box.peerId, 'I owe you'))).toMatchObject(
    refused('reach.message_foreign'),
  )
  await logged(serving, 'reach.message_foreign')
  const other = await createPeerHost({ identity: eve.identity, clock, log }, { listen: ['/ip4/127.0.0.1/tcp/0'] })
  hosts.push(other)
  const misled = await bench.run(mac.home, 'send', box.peerId, 'for box alone', '--address', other.addresses()[0]!.replace(/\/p2p\/.*/, ''))
  expect(misled.exitCode).not.toBe(0)
  expect(misled.stderr).toContain('Handshake Failed')
  expect(await inbox()).not.toContain('I owe you')
})

test('replay', async () => {
  const alice = await attacker()
  const frame = await message(alice.identity, box.peerId, 'pay 5')
  expect(await answerTo(await alice.to(messageProtocol), frame)).toMatchObject({ receipt: expect.any(String) as string })
  await rm(join(bench.folder, box.home, '.local/state/fairlead/reach/blockchain.json'))
  expect(await answerTo(await alice.to(messageProtocol), frame)).toMatchObject(refused('reach.message_replayed'))
  await logged(serving, 'reach.message_replayed')
  expect((await inbox()).match(/pay 5/g)).toHaveLength(1)
  const early = await card(alice.identity, 1)
  expect(await answerTo(await alice.to(registryProtocol, registry), await card(alice.identity, 2))).toMatchObject({ ok: {} })
  expect(await answerTo(await alice.to(registryProtocol, registry), early)).toMatchObject(refused('reach.record_too_old'))
  await logged(registry, 'reach.record_too_old')
})

test('wrong recipient', async () => {
  const alice = await attacker()
  const answer = await answerTo(await alice.to(messageProtocol), await message(alice.identity, createIdentity().peerId, 'for another'))
  expect(answer).toMatchObject(refused('reach.message_misdirected'))
  await logged(serving, 'reach.message_misdirected')
  expect(await inbox()).not.toContain('for another')
})

test.each([-75_000, 75_000])('skewed clock: %i ms', async (ms) => {
  const alice = await attacker()
  const answer = await answerTo(
    await alice.to(messageProtocol),
    await message(alice.identity, box.peerId, 'from another time', clock.now() + ms),
  )
  expect(answer).toMatchObject({ refused: { code: 'reach.message_skewed', message: expect.stringMatching(/7[3-7] s/) as string } })
  await logged(serving, 'reach.message_skewed')
  expect(await inbox()).not.toContain('from another time')
})

test('plaintext frame', async () => {
  const frames = [
    Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pid"}}\n'),
    Buffer.from('POST /mcp HTTP/1.1\r\nHost: box\r\nContent-Length: 0\r\n\r\n'),
    await message(createIdentity(), box.peerId, 'in the open'),
  ]
  for (const service of [serving, registry])
    for (const frame of frames) {
      const socket = connect(portOf(service), '127.0.0.1')
      const answer = closed(socket)
      socket.end(frame)
      expect((await answer).toString('latin1')).not.toMatch(/jsonrpc|HTTP\/1|receipt/)
    }
  expect(await inbox()).not.toContain('in the open')
})

test('unknown protocol version', async () => {
  const alice = await attacker()
  for (const protocol of [messageProtocol, tunnelProtocol].map((name) => name.replace(/1$/, '9')))
    await expect(alice.to(protocol)).rejects.toMatchObject({
      code: 'peer.refused',
      message: expect.stringContaining('does not offer') as string,
    })
  const hello = Buffer.from(JSON.stringify({ version: 9, maxFrameBytes: 1 << 20 }))
  const header = Buffer.alloc(17)
  header[0] = 1
  header.writeUInt32BE(hello.length, 13)
  const stream = await (await asMac()).to(tunnelProtocol)
  stream.duplex.write(Buffer.concat([header, hello]))
  const [answer] = (await once(stream.duplex, 'data')) as [Buffer]
  expect(answer.subarray(17).toString()).toContain('this side speaks version 1')
  await logged(serving, '"code":"version"')
})

test('oversized or endless frame', async () => {
  const alice = await attacker()
  const tooLong = Buffer.from([0xff, 0xff, 0xff, 0xff])
  expect(await answerTo(await alice.to(messageProtocol), tooLong)).toBeUndefined()
  expect(await answerTo(await alice.to(registryProtocol, registry), tooLong)).toBeUndefined()
  await Promise.all([logged(serving, 'reach.message.dropped'), logged(registry, 'reach.registry.dropped')])
  const before = residentMiB(serving.pid)
  const endless = await (await asMac()).to(tunnelProtocol)
  endless.duplex.on('error', () => {})
  const chunk = Buffer.alloc(1 << 20, 1)
  let sentMiB = 0
  while (!endless.duplex.destroyed && sentMiB < 256) {
    sentMiB++
    if (!endless.duplex.write(chunk)) await new Promise((resolve) => endless.duplex.once('drain', resolve).once('close', resolve))
  }
  expect(sentMiB).toBeLessThan(256)
  expect(residentMiB(serving.pid) - before).toBeLessThan(128)
})

test('slow reader and slow writer', async () => {
  const greedy = await attacker()
  const slow = await Promise.all(Array.from({ length: 8 }, () => greedy.to(messageProtocol)))
  for (const { duplex } of slow) duplex.on('error', () => {}).write(Buffer.from([0])) // and no more
  expect(await answerTo(await greedy.to(messageProtocol), Buffer.from([0]))).toBeUndefined() // the ninth has no room
  const before = residentMiB(registry.pid)
  const deaf = await greedy.to(registryProtocol, registry)
  deaf.duplex.on('error', () => {})
  const request = jsonFrame(registryValue({ do: 'list', after: undefined, limit: 100 }))
  for (let i = 0; i < 20_000 && !deaf.duplex.destroyed; i++) if (!deaf.duplex.write(request)) break // it does not read on while its answers are not read
  expect(residentMiB(registry.pid) - before).toBeLessThan(64)
  for (const { duplex } of slow) duplex.resume()
  await expect.poll(() => slow.every(({ duplex }) => duplex.destroyed || duplex.readableEnded), { timeout: 20_000 }).toBe(true) // after their time
})

test('thousands of half-open handshakes', async () => {
  const sockets: Socket[] = []
  try {
    for (let n = 0; n < 2_000; n++) {
      const socket = connect({ port: portOf(n % 2 ? serving : registry), host: '127.0.0.1', localAddress: `127.0.1.${1 + (n % 4)}` })
      socket.on('error', () => {})
      sockets.push(socket)
    }
    await expect.poll(() => sockets.filter(({ closed }) => closed).length, { timeout: 20_000 }).toBeGreaterThan(500)
    const sent = await bench.run(mac.home, 'send', box.peerId, 'through the crowd', '--address', serving.addresses[0]!)
    expect(sent).toMatchObject({ exitCode: 0 })
    expect(await inbox()).toContain('through the crowd')
  } finally {
    for (const socket of sockets) socket.destroy()
  }
})

test('streams that are opened and say nothing: one peer’s do not take the room of the others', { timeout: 90_000 }, async () => {
  const eve = await attacker()
  const places = [
    [tunnelProtocol, serving, 300],
    ['/fairlead/succession/1', serving, 100],
    [registryProtocol, registry, 1_010],
    [hopProtocol, registry, 300],
  ] as const
  const flood = async ([protocol, service, length]: (typeof places)[number]): Promise<void> => {
    const streams = await Promise.all(Array.from({ length }, () => eve.to(protocol, service).catch(() => undefined)))
    for (const stream of streams) stream?.duplex.on('error', () => {}).resume()
  }
  const all = (): Promise<unknown> => Promise.all(places.map(flood))
  await all()
  const over = new AbortController()
  const again = (async () => {
    for (await clock.wait(4_000); !over.signal.aborted; await clock.wait(4_000)) await all() // one flood after the other: the attacker shares our processors
  })()
  try {
    const through = bench.client(mac.home, box.peerId, '--relay', '--server', `localhost:${portOf(registry)}`)
    await through.initialize()
    expect(await through.call('echo', { text: 'through the relay' })).toBe('through the relay')
    const direct = bench.client(mac.home, box.peerId, '--address', serving.addresses[0]!)
    await direct.initialize()
    await clock.wait(6_000) // the relay's places are renewed meanwhile
    expect(await through.call('echo', { text: 'still' })).toBe('still')
    const later = bench.client(mac.home, box.peerId, '--relay', '--server', `localhost:${portOf(registry)}`)
    await later.initialize() // who serves has its place still, and others are let through
    expect(await later.call('echo', { text: 'later' })).toBe('later')
  } finally {
    over.abort()
    await again
  }
})

test('record flood at the registry', async () => {
  const greedy = await attacker()
  const stream = await greedy.to(registryProtocol, registry)
  stream.duplex.on('error', () => {})
  const answers = readJson(stream.duplex, 1 << 20)
  let limited = 0
  for (let n = 1; n <= 300 && limited === 0; n++) {
    stream.duplex.write(await card(greedy.identity, n))
    const { value } = (await answers.next()) as { value?: { refused?: { code: string } } }
    if (value?.refused?.code === 'reach.too_often') limited++
  }
  expect(limited).toBe(1)
  await logged(registry, 'reach.too_often')
})

test('record for a key one does not hold', async () => {
  const thief = await attacker()
  const owner = createIdentity()
  expect(await answerTo(await thief.to(registryProtocol, registry), await card(owner, 1))).toMatchObject(refused('reach.record_invalid'))
  const forged = await card(thief.identity, 1)
  const { card: text } = JSON.parse(forged.subarray(4).toString()) as { card: string }
  const bytes = Buffer.from(text, 'base64url')
  bytes[bytes.length - 1]! ^= 1
  const answer = await answerTo(await thief.to(registryProtocol, registry), jsonFrame({ do: 'publish', card: bytes.toString('base64url') }))
  expect(answer).toMatchObject(refused('reach.record_invalid'))
  await logged(registry, 'reach.record_invalid')
})

test('path traversal in file names', async () => {
  const eve = await attacker()
  const refusedFirst = await eve.to(fileProtocol)
  const bytes = Buffer.from('planted')
  const facts = { sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
  const offer = async (name: string): Promise<Buffer> =>
    jsonFrame(offerValue(await signOffer(eve.identity, { to: box.peerId, id: randomId(), name, ...facts }, clock.now())))
  expect(await answerTo(refusedFirst, await offer('a.txt'))).toMatchObject({ refused: { message: 'not authorized' } })
  expect((await bench.run(box.home, 'accept-files', eve.identity.peerId)).exitCode).toBe(0)
  const names = ['../../planted', '/tmp/planted', '..', 'a/../../planted', '.ssh', 'nul\u0000planted', '~/planted', '\u202eplanted']
  for (const name of names) {
    const { duplex } = await eve.to(fileProtocol)
    duplex.write(await offer(name))
    const answers = readJson(duplex, 1 << 16)
    expect((await answers.next()).value).toMatchObject({ held: 0 })
    duplex.write(bytes)
    let answer = (await answers.next()).value as { held?: number; receipt?: string }
    while (answer.held !== undefined) answer = (await answers.next()).value as typeof answer
    expect(answer).toMatchObject({ receipt: expect.any(String) as string })
  }
  const folder = join(bench.folder, box.home)
  const planted = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => holds(join(folder, path), 'planted'))
  expect(planted).toHaveLength(names.length)
  for (const path of planted)
    expect(path).toMatch(/^\.local\/state\/fairlead\/reach\/downloads\/[^/.\p{Cc}\p{Bidi_C}][^/\p{Cc}\p{Bidi_C}]*$/u)
  expect(['/tmp/planted', join(bench.folder, 'planted')].filter((path) => existsSync(path))).toEqual([])
})

test('an unauthorized peer learns nothing but "not authorized"', async () => {
  const stranger = await bench.people(0)
  const client = bench.client(stranger[0]!.home, box.peerId, '--address', serving.addresses[0]!)
  const { error, result } = await client.initialize()
  expect([error?.code, error?.message, result]).toEqual([-32001, `not authorized by ${box.peerId}`, undefined])
  expect(await client.ended).toBe(4)
  const eve = await attacker()
  const stream = await eve.to(tunnelProtocol)
  const hello = Buffer.from(JSON.stringify({ version: 1, maxFrameBytes: 1 << 20, session: 'guessed', token: 'guessed' }))
  const header = Buffer.alloc(17)
  header[0] = 1
  header.writeUInt32BE(hello.length, 13)
  stream.duplex.write(Buffer.concat([header, hello]))
  const [answer] = (await once(stream.duplex, 'data')) as [Buffer]
  expect(JSON.parse(answer.subarray(17).toString())).toEqual({ code: 'denied', reason: 'not authorized' })
  await logged(serving, '"code":"denied"')
})

test('a revoked peer on an open session: it ends within 1 s of the owner’s change', async () => {
  const [other] = await bench.people(0)
  await authorize(mac, other!)
  const client = bench.client(other!.home, box.peerId, '--address', serving.addresses[0]!)
  await expect.poll(async () => (await client.initialize()).result, { timeout: 10_000 }).toBeDefined()
  const open = client.request('tools/call', { name: 'sleep' })
  await writeFile(authorizedFile, `${mac.peerId}\n`)
  const changedAt = Date.now()
  expect((await open).error).toMatchObject({ data: { reason: 'reach.tunnel_ended' } })
  await expect.poll(() => endOfSession(other!), { timeout: 10_000 }).toBeDefined()
  expect(endOfSession(other!)! - changedAt).toBeLessThan(1_000)
})

test('a revoked peer on an open session: it ends within 10 s of a published revocation', { timeout: 60_000 }, async () => {
  const [other] = await bench.people(0)
  await authorize(mac, other!)
  const client = bench.client(other!.home, box.peerId, '--address', serving.addresses[0]!)
  await expect.poll(async () => (await client.initialize()).result, { timeout: 10_000 }).toBeDefined()
  const open = client.request('tools/call', { name: 'sleep' })
  const server = ['--server', `localhost:${portOf(registry)}`]
  expect((await bench.run(other!.home, 'revoke', '--yes', '--reason', 'stolen', ...server)).exitCode).toBe(0)
  const publishedAt = Date.now()
  expect((await open).error).toMatchObject({ data: { reason: 'reach.tunnel_ended' } })
  await expect.poll(() => endOfSession(other!), { timeout: 20_000 }).toBeDefined()
  expect(endOfSession(other!)! - publishedAt).toBeLessThan(10_000)
  const again = await bench.run(other!.home, 'mcp-connect', box.peerId, '--address', serving.addresses[0]!)
  expect(again).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('not authorized') as string }) // though it is on the list still
  const thief = await attacker((await loadWallet(homeIn(join(bench.folder, other!.home, '.local/state/fairlead/reach')).wallet)).identity)
  const lie = await answerTo(await thief.to(messageProtocol), await message(thief.identity, box.peerId, 'it is really me'))
  expect(lie).toMatchObject(refused('reach.key_revoked'))
  await logged(serving, 'reach.key_revoked')
  await authorize(mac)
})

/** Writes the list, and waits until it counts: a client that is refused once gives up. */
async function authorize(...people: Person[]): Promise<void> {
  const changes = (): number => serving.log().split('reach.authorized.changed').length
  const before = changes()
  await writeFile(authorizedFile, people.map(({ peerId }) => `${peerId}\n`).join(''))
  await expect.poll(changes, { timeout: 10_000 }).toBeGreaterThan(before)
}

/** When the session of this peer ended, as the one who serves has logged it (wall time, ms). */
function endOfSession({ peerId }: Person): number | undefined {
  const line = serving
    .log()
    .split('\n')
    .find((line) => line.includes('reach.session.end') && line.includes(peerId))
  return line === undefined ? undefined : Date.parse((JSON.parse(line) as { time: string }).time)
}

function holds(path: string, text: string): boolean {
  return statSync(path).isFile() && readFileSync(path, 'utf8') === text
}

/** Resident memory of a process, as the kernel counts it. */
function residentMiB(pid: number): number {
  const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
  return Number(kib) / 1_024
}
