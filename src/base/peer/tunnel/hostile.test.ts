// Proves what a tunnel does with an end that does not keep to its rules: by hand, and with bytes of any shape.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import type { PeerStream } from '../host/host.ts'
import { type Message, MessageReader, messageBytes, types } from './message.ts'
import { connectTunnel } from './client.ts'
import { link, type World, world, frame, numberOf, collector, hello } from './tunnel.fixture.ts'

describe('a session by hand', () => {
  async function begun(): Promise<{ made: World; stream: PeerStream; got: ReturnType<typeof collector>; answers: Message[] }> {
    const made = world()
    const { client, server } = link()
    made.serve(server)
    const answers: Message[] = []
    const reader = new MessageReader()
    reader.maxFrameBytes = 1 << 20
    client.duplex.on('data', (chunk: Buffer) => reader.feed(chunk, (message) => answers.push(message) > 0))
    client.duplex.write(hello())
    await expect.poll(() => made.accepted.length).toBe(1)
    const got = collector()
    made.accepted[0]!.read(got)
    return { made, stream: client, got, answers }
  }

  test('a frame that comes twice is delivered once and acknowledged again', async () => {
    const { made, stream, got, answers } = await begun()
    for (const n of [1, 2, 1, 2, 3]) stream.duplex.write(messageBytes(types.frame, n, 0, frame(n).bytes))
    await expect.poll(() => answers.at(-1)?.ack).toBe(3)
    expect(got.frames.map(numberOf)).toEqual([1, 2, 3])
    expect(made.accepted[0]!.stats.duplicates).toBe(2)
  })

  test('a gap, an impossible acknowledgement, an early end, and a second greeting end it as garbage', async () => {
    for (const bad of [
      messageBytes(types.frame, 2, 0, frame(2).bytes),
      messageBytes(types.ack, 0, 99),
      messageBytes(types.close, 5, 0),
      hello(),
      messageBytes(types.frame, 1, 0, Buffer.from('[]')),
      Buffer.alloc(17, 0xff),
    ]) {
      const { made, stream, answers } = await begun()
      stream.duplex.write(bad)
      expect(await made.accepted[0]!.ended).toMatchObject({ why: 'garbage' })
      if (bad[0] !== 0xff) await expect.poll(() => answers.at(-1)?.type).toBe(types.refused)
      expect(made.server.count()).toBe(0)
    }
  })
})

describe('hostile bytes', () => {
  const settled = async (made: World): Promise<void> => {
    await made.server.close()
    expect(made.server.count()).toBe(0)
  }
  const message = fc.record({
    type: fc.integer({ min: 0, max: 10 }),
    seq: fc.oneof(fc.nat(4), fc.integer({ min: 0, max: 2 ** 48 - 1 })),
    ack: fc.oneof(fc.nat(4), fc.nat()),
    body: fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.json().map((text) => Buffer.from(text)),
    ),
  })
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc
      .array(message, { maxLength: 8 })
      .map((all) => Buffer.concat(all.map(({ type, seq, ack, body }) => messageBytes(type, seq, ack, body)))),
  )

  test('at the greeting and in mid-session, at the server: refused or ended, never a crash or a session left', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, fc.boolean(), async (hostile, isGreeted) => {
        const made = world({ settings: { closeWaitMs: 20 } })
        const { client, server } = link()
        made.serve(server)
        client.duplex.resume()
        if (isGreeted) client.duplex.write(hello())
        client.duplex.write(hostile)
        for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
        made.accepted[0]?.read(collector())
        client.duplex.destroy()
        await settled(made)
      }),
      { numRuns: 150 },
    )
  })

  test('at the client: connect fails or the wire ends, never a crash', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, fc.boolean(), async (hostile, isGreeted) => {
        const { client, server } = link()
        server.duplex.resume()
        const welcome = messageBytes(
          types.welcome,
          0,
          0,
          Buffer.from(JSON.stringify({ session: 's', token: 't', keepMs: 1, maxFrameBytes: 100 })),
        )
        let opened = 0
        const open = async (): Promise<PeerStream> => {
          if (opened++ > 0) throw new Error('gone')
          return client
        }
        const connecting = connectTunnel({ open, clock: systemClock, log: silentLog }, { closeWaitMs: 5, keepMs: 5 })
        server.duplex.write(isGreeted ? Buffer.concat([welcome, hostile]) : hostile)
        setImmediate(() => server.duplex.destroy())
        const wire = await connecting.catch((error: { code?: string }) => {
          expect(error.code).toMatch(/^(peer|tunnel)\./)
          return undefined
        })
        if (!wire) return
        wire.read(collector())
        await wire.ended
      }),
      { numRuns: 150 },
    )
  })

  test('a reader of messages gives the same ones however they are cut into chunks', () => {
    const good = fc.record({
      type: fc.constantFrom(...Object.values(types)),
      seq: fc.nat(),
      ack: fc.nat(),
      body: fc.uint8Array({ maxLength: 200 }),
    })
    fc.assert(
      fc.property(fc.array(good, { maxLength: 10 }), fc.infiniteStream(fc.integer({ min: 1, max: 90 })), (all, sizes) => {
        const whole = Buffer.concat(all.map(({ type, seq, ack, body }) => messageBytes(type, seq, ack, body)))
        const reader = new MessageReader()
        reader.maxFrameBytes = 200
        const got: Message[] = []
        for (let at = 0; at < whole.length;) {
          const size = sizes.next().value as number
          reader.feed(whole.subarray(at, at + size), (each) => got.push(each) > 0)
          at += size
        }
        expect(got.map(({ body, ...rest }) => ({ ...rest, body: [...body] }))).toEqual(
          all.map(({ body, ...rest }) => ({ ...rest, body: [...body] })),
        )
      }),
    )
  })
})
