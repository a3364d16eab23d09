// Proves how much may be under way: the window of a tunnel, and frames that are too large for the other side.
import { describe, expect, test } from 'vitest'
import { createTestClock } from '../../../../test/kit/clock.ts'
import { ByteBudget } from '../../wire/budget.ts'
import { scan } from '../../wire/scan.ts'
import { defaultLimits } from '../../wire/walk.ts'
import { messageBytes, types, windowBytes, windowFrames } from './message.ts'
import { link, world, frame, numberOf, collector, hello } from './tunnel.fixture.ts'

describe('the window', () => {
  test('with a stalled reader: write says false, memory on both sides stays under the window, and the path is not held dead', async () => {
    const clock = createTestClock()
    const { accepted, links, connect } = world({ clock })
    const client = await connect()
    const server = accepted[0]!
    let isOpen: (() => void) | undefined
    const got: number[] = []
    server.read({
      write: (each) => (got.push(numberOf(each)), isOpen !== undefined),
      room: () => new Promise((resolve) => (isOpen = resolve)),
    })
    const pad = 64 << 10
    let sent = 0
    while (client.write(frame(sent++, pad)));
    await expect.poll(async () => (await clock.advance(100), server.stats.waitingBytes)).toBeGreaterThan(windowBytes - pad)
    await clock.advance(30_000)
    expect(got).toEqual([0])
    expect(client.stats.unackedBytes).toBeLessThan(windowBytes + 2 * pad)
    expect(server.stats.waitingBytes).toBeLessThan(windowBytes + 2 * pad)
    while (client.write(frame(sent++, pad))); // one was taken, so there was room for one more
    let hasRoom = false
    void client.room().then(() => (hasRoom = true))
    await clock.advance(60_000)
    expect(hasRoom).toBe(false)
    expect(links).toHaveLength(1) // pings were answered all the time
    isOpen!()
    await expect.poll(async () => (await clock.advance(50), [hasRoom, got.length])).toEqual([true, sent])
    expect(got).toEqual(Array.from({ length: sent }, (_, n) => n))
  })

  test('counts frames too', async () => {
    const { connect } = world()
    const client = await connect()
    let sent = 1
    while (client.write(frame(sent))) sent++
    expect(sent).toBe(windowFrames)
  })

  test('writers that do not wait are taken, but the path gets no more than the window; and an end comes after the last frame', async () => {
    const { accepted, connect } = world()
    const client = await connect()
    const server = accepted[0]!
    const got: number[] = []
    let isOpen: (() => void) | undefined
    server.read({
      write: (each) => (got.push(numberOf(each)), isOpen !== undefined),
      room: () => new Promise((resolve) => (isOpen = resolve)),
    })
    for (let n = 0; n < 200; n++) client.write(frame(n, 64 << 10))
    await expect.poll(() => server.stats.waitingBytes).toBeGreaterThan(windowBytes - (64 << 10))
    isOpen!()
    await expect.poll(() => got.length).toBe(200)
    let isOver = false
    void server.ended.then(() => (isOver = true))
    isOpen = undefined
    for (let n = 200; n < 205; n++) client.write(frame(n))
    await client.close()
    expect([got.length, isOver]).toEqual([201, false])
    isOpen!()
    expect(await server.ended).toEqual({ why: 'eof' })
    expect(got).toEqual(Array.from({ length: 205 }, (_, n) => n))
  })

  test('a sender that ignores it is garbage', async () => {
    const { accepted, serve } = world()
    const { client, server } = link()
    serve(server)
    client.duplex.write(hello())
    await expect.poll(() => accepted.length).toBe(1)
    for (let n = 1; n <= windowFrames + 1; n++) client.duplex.write(messageBytes(types.frame, n, 0, frame(n).bytes))
    client.duplex.resume()
    expect(await accepted[0]!.ended).toMatchObject({ why: 'garbage' })
  })
})

describe('too large', () => {
  const small = { maxFrameBytes: 1_000, maxDepth: 8, maxElements: 100 }

  test('a request over the limit is answered with an error, a result is replaced by one, and the session lives on', async () => {
    const { accepted, connect } = world({ settings: { limits: small } })
    const client = await connect({})
    const [left, right] = [collector(), collector()]
    client.read(left)
    accepted[0]!.read(right)
    const pad = 'x'.repeat(2_000)
    client.write(scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 'q1', method: 'm', params: { pad } }))))
    accepted[0]!.write(scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 7, result: { pad } }))))
    client.write(frame(1))
    await expect.poll(() => [left.frames.length, right.frames.length]).toEqual([2, 1])
    const errors = left.frames.map((each) => JSON.parse(Buffer.from(each.bytes).toString()) as { id: unknown; error: { message: string } })
    expect(errors.map(({ id }) => id).sort()).toEqual([7, 'q1'])
    for (const { error } of errors) expect(error.message).toContain('larger than 1000 bytes')
    await client.close()
  })

  test('a frame that the budget has no room for is answered, or replaced by an error, and counts as taken; the session lives on', async () => {
    const [here, there] = [new ByteBudget(300 << 10), new ByteBudget(300 << 10)]
    const { accepted, connect } = world({ settings: { limits: { ...defaultLimits, budget: there } } })
    const client = await connect({ limits: { ...defaultLimits, budget: here } })
    const [left, right] = [collector(), collector()]
    client.read(left)
    accepted[0]!.read(right)
    const pad = 'x'.repeat(500 << 10)
    for (let round = 1; round <= 2; round++) {
      client.write(scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: `q${round}`, method: 'm', params: { pad } }))))
      accepted[0]!.write(scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: round, result: { pad } }))))
      client.write(frame(round))
      await expect.poll(() => [left.frames.length, right.frames.length]).toEqual([2 * round, round])
    }
    const errors = left.frames.map((each) => JSON.parse(Buffer.from(each.bytes).toString()) as { id: unknown; error: { message: string } })
    expect(errors.map(({ id }) => String(id)).sort()).toEqual(['1', '2', 'q1', 'q2'])
    for (const { error } of errors) expect(error.message).toContain('on their way already')
    await expect.poll(() => [here.heldBytes, there.heldBytes]).toEqual([0, 0])
    await client.close()
  })

  test('one that comes all the same ends the session', async () => {
    const { accepted, serve } = world({ settings: { limits: small } })
    const { client, server } = link()
    serve(server)
    client.duplex.resume()
    client.duplex.write(hello())
    client.duplex.write(messageBytes(types.frame, 1, 0, Buffer.alloc(1_001, 0x20)))
    await expect.poll(() => accepted.length).toBe(1)
    expect(await accepted[0]!.ended).toMatchObject({ why: 'tooLarge', problem: expect.stringContaining('1001') })
  })
})
