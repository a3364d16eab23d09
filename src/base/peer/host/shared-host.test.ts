// Proves that a host in another process is as good as one's own: streams, faults and ends come through, and somebody takes its place when it goes.
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock as clock } from '../../../kernel/clock.ts'
import { silentLog as log } from '../../../kernel/log.ts'
import { randomBytes } from '../../../kernel/random.ts'
import { type Identity, createIdentity } from '../../identity/identity.ts'
import { connectSocket } from '../../wire/unix.ts'
import { type PeerHost, type PeerStream, createPeerHost } from './host.ts'
import { type SharedHost, type SharedHostNeeds, openSharedHost } from './shared-host.ts'

const loopback = ['/ip4/127.0.0.1/tcp/0']
const protocol = '/fairlead/test/1'
const undo: (() => unknown)[] = []
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-host-'))
  undo.push(() => rmSync(folder, { recursive: true, force: true }))
})
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step()
})

async function shared(identity: Identity, listen: readonly string[], needs: Partial<SharedHostNeeds> = {}): Promise<SharedHost> {
  const host = await openSharedHost({ identity: async () => identity, peerId: identity.peerId, clock, log, ...needs }, { folder, listen })
  undo.push(() => host.close())
  return host
}

async function far(): Promise<PeerHost> {
  const host = await createPeerHost({ identity: createIdentity(), clock, log }, { listen: loopback })
  undo.push(() => host.close())
  return host
}

const echo = (stream: PeerStream): void => void stream.duplex.pipe(stream.duplex)
const say =
  (words: string) =>
  (stream: PeerStream): void =>
    void stream.duplex.resume().once('end', () => stream.duplex.end(words))

async function ask(stream: PeerStream, question: string | Uint8Array = ''): Promise<string> {
  stream.duplex.end(question)
  return text(stream.duplex)
}

describe('through the host of another process', () => {
  test('a stream goes out with its proved peer, half-closed and 20 MB of it whole; faults keep their code and details; no second key is needed', async () => {
    const identity = createIdentity()
    const host = await shared(identity, loopback)
    const attached = await shared(identity, [], { identity: () => Promise.reject(new Error('asked for the key')) })
    expect([host.role, attached.role, attached.addresses()]).toEqual(['host', 'attached', host.addresses()])
    const other = await far()
    const seen: string[] = []
    other.handle(protocol, (stream) => {
      seen.push(stream.remotePeer)
      echo(stream)
    })
    const stream = await attached.dial(other.peerId, other.addresses(), protocol)
    expect([stream.remotePeer, stream.remoteAddress, stream.protocol]).toEqual([other.peerId, '127.0.0.1', protocol])
    const large = Buffer.from(randomBytes(10_000_000)).toString('hex')
    expect((await ask(stream, large)) === large).toBe(true)
    expect(seen).toEqual([identity.peerId])
    const nobody = createIdentity().peerId
    await expect(attached.dial(nobody, ['/ip4/127.0.0.1/tcp/1'], protocol)).rejects.toMatchObject({
      code: 'peer.unreachable',
      details: { peerId: nobody, problem: 'ECONNREFUSED' },
    })
    await expect(attached.dial(other.peerId, other.addresses(), '/fairlead/none/1')).rejects.toMatchObject({ code: 'peer.refused' })
    const stop = AbortSignal.abort(new Error('enough'))
    await expect(attached.dial(nobody, ['/ip4/127.0.0.1/tcp/1'], protocol, stop)).rejects.toMatchObject({ code: 'peer.unreachable' })
  })

  test('the writer waits for a reader that stands still, and goes on with it', async () => {
    const identity = createIdentity()
    await shared(identity, loopback)
    const attached = await shared(identity, [])
    const other = await far()
    const streams: PeerStream[] = []
    other.handle(protocol, (stream) => void streams.push(stream))
    const { duplex } = await attached.dial(other.peerId, other.addresses(), protocol)
    let written = 0
    const chunk = Buffer.alloc(1 << 20)
    while (duplex.write(chunk) || (await Promise.race([new Promise((r) => duplex.once('drain', () => r(true))), clock.wait(500)]))) {
      written += chunk.length
      expect(written).toBeLessThan(64 << 20)
    }
    streams[0]!.duplex.resume()
    await new Promise((resolve) => duplex.once('drain', resolve))
  })

  test('a broken stream breaks at the other end; a dropped connection is dropped beneath it', async () => {
    const identity = createIdentity()
    await shared(identity, loopback)
    const attached = await shared(identity, [])
    const other = await far()
    const streams: PeerStream[] = []
    other.handle(protocol, (stream) => void streams.push(stream))
    const first = await attached.dial(other.peerId, other.addresses(), protocol)
    const second = await attached.dial(other.peerId, other.addresses(), protocol)
    await expect.poll(() => streams.length).toBe(2)
    streams[0]!.abort()
    await new Promise((resolve) => first.duplex.resume().once('end', resolve))
    expect(second.duplex.destroyed).toBe(false)
    const connections = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
    const before = connections()
    second.abort('connection')
    await expect.poll(connections).toBe(before - 2) // both ends are here
    expect(await ask(await served(other, attached), 'again')).toBe('again')
  })

  async function served(other: PeerHost, from: PeerHost): Promise<PeerStream> {
    other.handle('/fairlead/echo/1', echo)
    return from.dial(other.peerId, other.addresses(), '/fairlead/echo/1')
  }

  test('a stream comes in to whoever wants that peer; who is wanted by none meets the first; when nobody is left, it is not offered', async () => {
    const identity = createIdentity()
    const [a, b, stranger] = [await far(), await far(), await far()]
    const host = await shared(identity, loopback, { wants: (peer) => peer === a.peerId })
    const attached = await shared(identity, loopback, { wants: (peer) => peer === b.peerId })
    attached.handle(protocol, say('attached'))
    const from = async (peer: PeerHost): Promise<string> => ask(await peer.dial(identity.peerId, host.addresses(), protocol))
    await expect.poll(() => from(b).catch(() => 'not yet')).toBe('attached')
    expect(await from(stranger)).toBe('attached')
    host.handle(protocol, say('host'))
    expect([await from(a), await from(b), await from(stranger)]).toEqual(['host', 'attached', 'attached'])
    await attached.close()
    await expect.poll(() => from(stranger)).toBe('host')
    host.unhandle(protocol)
    await expect.poll(() => from(a).catch((error: unknown) => (error as { code: string }).code)).toBe('peer.refused')
  })
})

describe('the place of the host', () => {
  test('is taken by one that attached when the host ends: same address, and what was served is served on', async () => {
    const identity = createIdentity()
    const host = await shared(identity, loopback)
    const [attached, dialing] = [await shared(identity, ['/ip4/127.0.0.1/tcp/9']), await shared(identity, [])]
    attached.handle(protocol, say('here'))
    const addresses = host.addresses()
    await host.close()
    const other = await far()
    other.handle(protocol, echo)
    await expect.poll(() => attached.role, { timeout: 10_000 }).toBe('host')
    expect(attached.addresses()).toEqual(addresses)
    expect(await ask(await other.dial(identity.peerId, addresses, protocol))).toBe('here')
    expect(await ask(await dialing.dial(other.peerId, other.addresses(), protocol), 'through the new one')).toBe('through the new one')
    expect(dialing.role).toBe('attached')
    await attached.close()
    expect(await ask(await dialing.dial(other.peerId, other.addresses(), protocol), 'by itself')).toBe('by itself')
    expect(dialing.role).toBe('alone')
  })

  test('is one process’s, however many start at once; its socket is its owner’s alone', async () => {
    const identity = createIdentity()
    const hosts = await Promise.all(Array.from({ length: 4 }, () => shared(identity, loopback)))
    expect(hosts.map(({ role }) => role).sort()).toEqual(['attached', 'attached', 'attached', 'host'])
    expect(statSync(join(folder, 'host.sock')).mode & 0o777).toBe(0o600)
  })

  test('is not shared with another identity: a wallet that was replaced meanwhile is a fault', async () => {
    await shared(createIdentity(), loopback)
    await expect(shared(createIdentity(), loopback)).rejects.toMatchObject({ code: 'peer.other_host' })
  })

  test('survives nonsense on its socket', async () => {
    const identity = createIdentity()
    const host = await shared(identity, loopback)
    for (const bytes of [
      '\n',
      '{}\n',
      'null\n',
      '{"fairlead":1,"do":"take","stream":"x"}\n',
      '{"fairlead":2,"do":"attach"}\n',
      'x'.repeat(20_000),
    ]) {
      const socket = await connectSocket(join(folder, 'host.sock'))
      socket.on('error', () => {})
      socket.write(bytes)
      await new Promise((resolve) => socket.resume().once('end', resolve).once('close', resolve))
      socket.destroy()
    }
    const attached = await shared(identity, [])
    expect([host.role, attached.role]).toEqual(['host', 'attached'])
  })
})

test('a peer that another process of the same identity connected first is still asked at its addresses', async () => {
  const identity = createIdentity()
  const other = await far()
  other.handle(protocol, echo)
  const alone = await createPeerHost({ identity, clock, log }, { listen: [] })
  undo.push(() => alone.close())
  await alone.dial(other.peerId, other.addresses(), protocol)
  const host = await shared(identity, loopback)
  host.handle('/fairlead/second/1', say('the one that listens'))
  expect(await ask(await other.dial(identity.peerId, host.addresses(), '/fairlead/second/1'))).toBe('the one that listens')
})
