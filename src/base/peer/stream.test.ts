// Regression tests of the back-pressure and half-close of peer streams, over real libp2p on loopback, TCP itself and WebSockets: each names the pitfall of libp2p that it guards.
import { once } from 'node:events'
import { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import { createIdentity } from '../identity/identity.ts'
import { type PeerHost, type PeerStream, createPeerHost } from './host/host.ts'
import { sliceBytes } from './savings.ts'

const protocol = '/fairlead/test/1'
const needs = { log: silentLog, clock: systemClock }
const chunk = Buffer.alloc(64 << 10, 7)
const totalBytes = 48 << 20
/** What may lie between writer and reader: twice libp2p's window of 2 MiB (what resume() hands over, and what it lets come), and our own buffers and slices. */
const boundBytes = 5 << 20

let server: PeerHost
let client: PeerHost
let arrived: (stream: PeerStream) => void = () => {}

describe.each(['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws'])('over %s', (listen) => {
  beforeAll(async () => {
    server = await createPeerHost({ ...needs, identity: createIdentity() }, { listen: [listen] })
    client = await createPeerHost({ ...needs, identity: createIdentity() }, { listen: [] })
    server.handle(protocol, (stream) => arrived(stream))
  })
  afterAll(() => Promise.all([server.close(), client.close()]))

  async function pair(): Promise<[PeerStream, PeerStream]> {
    const other = new Promise<PeerStream>((resolve) => (arrived = resolve))
    const ours = await client.dial(server.peerId, server.addresses(), protocol)
    return [ours, await other]
  }

  /** Writes as a good citizen does, and keeps count. */
  function write({ duplex }: PeerStream, sizeBytes = totalBytes): { bytes: number; readonly done: Promise<void> } {
    const count = { bytes: 0, done: Promise.resolve() }
    count.done = (async () => {
      while (count.bytes < sizeBytes) {
        count.bytes += chunk.length
        if (!duplex.write(chunk)) await once(duplex, 'drain')
      }
      duplex.end()
    })()
    return count
  }

  /** All text up to the end. Not `for await`: Node destroys a Duplex whose iterator is through, and with it the half that still writes. */
  async function heardBy({ duplex }: PeerStream): Promise<string> {
    const pieces: Buffer[] = []
    duplex.on('data', (piece: Buffer) => pieces.push(piece))
    await once(duplex, 'end')
    return Buffer.concat(pieces).toString()
  }

  /** Resolves when the number has stood still for 20 looks: a writer that waits. */
  async function still(value: () => number): Promise<void> {
    let last = -1
    let looks = 0
    await expect
      .poll(() => ((looks = value() === last ? looks + 1 : 0), (last = value()), looks), { interval: 10, timeout: 20_000 })
      .toBeGreaterThan(20)
  }

  test('pitfall 1: while the reader stands still the writer stands still too, again and again', async () => {
    const [ours, theirs] = await pair()
    const written = write(ours)
    let readBytes = 0
    theirs.duplex.on('data', (piece: Buffer) => (readBytes += piece.length))
    for (let rounds = 0; rounds < 4; rounds++) {
      theirs.duplex.pause()
      await still(() => written.bytes)
      expect(written.bytes - readBytes).toBeLessThan(boundBytes)
      const goal = readBytes + (8 << 20)
      theirs.duplex.resume()
      await expect.poll(() => readBytes, { interval: 1, timeout: 20_000 }).toBeGreaterThan(goal)
    }
    await written.done
    await expect.poll(() => readBytes, { timeout: 20_000 }).toBe(totalBytes)
  })

  test('pitfall 2: a pause after the window has grown does not reset the stream', async () => {
    const [ours, theirs] = await pair()
    const written = write(ours)
    let readBytes = 0
    theirs.duplex.on('data', (piece: Buffer) => (readBytes += piece.length))
    await expect.poll(() => readBytes, { interval: 1, timeout: 20_000 }).toBeGreaterThan(totalBytes / 2) // fast reading lets it grow to its limit
    theirs.duplex.pause()
    await still(() => written.bytes)
    expect(theirs.duplex.destroyed).toBe(false)
    theirs.duplex.resume()
    await once(theirs.duplex, 'end')
    expect(readBytes).toBe(totalBytes)
  })

  test('pitfall 3: a reader that pauses after every piece is never flooded', async () => {
    const [ours, theirs] = await pair()
    const written = write(ours)
    let readBytes = 0
    let mostBytes = 0
    theirs.duplex.on('data', (piece: Buffer) => {
      readBytes += piece.length
      theirs.duplex.pause()
      mostBytes = Math.max(mostBytes, written.bytes - readBytes)
      setImmediate(() => theirs.duplex.resume())
    })
    await once(theirs.duplex, 'end')
    expect(readBytes).toBe(totalBytes)
    expect(mostBytes).toBeLessThan(boundBytes)
  })

  test('pitfall 4: for await holds the writer back, and a stream that nobody reads yet is not reset', async () => {
    const [ours, theirs] = await pair()
    const written = write(ours)
    await still(() => written.bytes)
    expect(written.bytes).toBeLessThan(boundBytes)
    let readBytes = 0
    let mostBytes = 0
    for await (const piece of theirs.duplex) {
      readBytes += (piece as Buffer).length
      mostBytes = Math.max(mostBytes, written.bytes - readBytes)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(readBytes).toBe(totalBytes)
    expect(mostBytes).toBeLessThan(boundBytes)
  })

  test('pitfall 8: what a far end says unasked, ending at once, is heard', async () => {
    for (const words of ['goodbye', 'x'.repeat(100_000)]) {
      arrived = ({ duplex }) => duplex.end(words)
      const ours = await client.dial(server.peerId, server.addresses(), protocol)
      expect(await heardBy(ours)).toBe(words)
    }
  })

  test('half-close: what is sent after the other side has ended still arrives, whole', async () => {
    const [ours, theirs] = await pair()
    ours.duplex.end('question')
    expect(await heardBy(theirs)).toBe('question')
    theirs.duplex.write('answer, ')
    theirs.duplex.end('late')
    expect(await heardBy(ours)).toBe('answer, late')
  })

  test('one write of 8 MiB arrives byte for byte', async () => {
    const [ours, theirs] = await pair()
    const large = Buffer.alloc(8 << 20)
    for (let i = 0; i < large.length; i += 4) large.writeUInt32BE(i, i)
    ours.duplex.end(large)
    const pieces: Buffer[] = []
    for await (const piece of theirs.duplex) pieces.push(piece as Buffer)
    expect(Buffer.concat(pieces).equals(large)).toBe(true)
  })

  test('messages of every size, around each border of what goes straight through libp2p, arrive in order both ways while the readers stop and go', async () => {
    const borders = [1, 1_160, 1_172, 1_188, 1_200, 65_490, sliceBytes - 1, sliceBytes, sliceBytes + 1, 65_535, 65_536, 300_000]
    const sizes = Array.from({ length: 30 }, (_, round) => borders.map((size) => size + (round % 3))).flat()
    const sent = Buffer.concat(sizes.map((size, at) => Buffer.alloc(size, at)))
    const talk = async (from: PeerStream, to: PeerStream): Promise<boolean> => {
      const pieces: Buffer[] = []
      to.duplex.on('data', (piece: Buffer) => {
        if (pieces.push(piece) % 7 > 0) return
        to.duplex.pause()
        setImmediate(() => to.duplex.resume())
      })
      const over = once(to.duplex, 'end')
      let at = 0
      for (const size of sizes) if (!from.duplex.write(sent.subarray(at, (at += size)))) await once(from.duplex, 'drain')
      from.duplex.end()
      await over
      return Buffer.concat(pieces).equals(sent)
    }
    const [ours, theirs] = await pair()
    expect(await Promise.all([talk(ours, theirs), talk(theirs, ours)])).toEqual([true, true])
  })

  test('abort reaches the other side as an error; close ends both sides without one', async () => {
    const [ours, theirs] = await pair()
    theirs.duplex.resume()
    const failed = new Promise<void>((resolve) => theirs.duplex.on('close', resolve))
    ours.abort()
    await failed
    expect(theirs.duplex.errored).toBeInstanceOf(Error)
    const [one, two] = await pair()
    one.duplex.write('last words')
    const heard = heardBy(two)
    await Promise.all([one.close(), heard.then(() => two.close())])
    expect(await heard).toBe('last words')
    expect([one.duplex.errored, two.duplex.errored]).toEqual([null, null])
  })

  test('a write that waits for room fails when the connection goes', async () => {
    const [ours, theirs] = await pair()
    const written = write(ours)
    written.done.catch(() => {})
    await still(() => written.bytes)
    theirs.abort('connection')
    await expect
      .poll(() => ours.duplex.destroyed || ours.duplex.readableEnded || ours.duplex.errored !== null, { timeout: 10_000 })
      .toBe(true)
    await expect(written.done).rejects.toBeInstanceOf(Error)
  })

  test('a message leaves in one system call, and its arrival costs none: 200 round trips are 400 writes', async () => {
    const [ours, theirs] = await pair()
    const trip = async (): Promise<void> => {
      const back = once(ours.duplex, 'data')
      const there = once(theirs.duplex, 'data')
      ours.duplex.write(Buffer.alloc(1_000, 1))
      await there
      theirs.duplex.write(Buffer.alloc(1_000, 2))
      await back
    }
    await trip() // the stream's own greeting is behind us then
    const sockets = Socket.prototype as unknown as { _write(): void; _writev(): void }
    const writes = [vi.spyOn(sockets, '_write'), vi.spyOn(sockets, '_writev')]
    onTestFinished(() => writes.forEach((spy) => spy.mockRestore()))
    for (let trips = 0; trips < 200; trips++) await trip()
    expect(writes.reduce((sum, { mock }) => sum + mock.calls.length, 0)).toBeLessThan(420) // a few are libp2p's own pings and room for more
  })

  test('pitfall 8: an answer and an end that come with the first bytes of the stream are read in this order', async () => {
    for (let times = 0; times < 30; times++) {
      arrived = ({ duplex }) => void duplex.end('no')
      const ours = await client.dial(server.peerId, server.addresses(), protocol)
      expect(await heardBy(ours)).toBe('no')
      ours.abort()
    }
  })
})
