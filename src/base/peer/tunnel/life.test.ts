// Proves how a session ends, and who is let in to one: expiry, refusals, revocation.
import { describe, expect, test } from 'vitest'
import { createTestClock } from '../../../../test/kit/clock.ts'
import { types } from './message.ts'
import { link, world, hello, greet, told } from './tunnel.fixture.ts'

describe('expiry', () => {
  test('a session that nobody comes back to ends as expired on both sides', async () => {
    const clock = createTestClock()
    const made = world({ clock, settings: { keepMs: 60_000 } })
    const client = await made.connect()
    await clock.advance(10)
    made.onLink = () => {
      throw new Error('no path')
    }
    made.links[0]!.cut(true)
    await clock.advance(59_000)
    expect(made.server.count()).toBe(1)
    await clock.advance(2_000)
    expect(await client.ended).toEqual({ why: 'expired' })
    expect(await made.accepted[0]!.ended).toEqual({ why: 'expired' })
    expect(made.server.count()).toBe(0)
    await clock.advance(10_000)
    expect(clock.waiting).toBe(0) // nothing left behind
  })

  test('whoever comes back to a server that forgot the session ends as expired at once', async () => {
    const [made, restarted] = [world(), world()]
    const client = await made.connect()
    made.onLink = ({ server }) => restarted.serve(server)
    made.divert = true
    made.links[0]!.cut(true)
    expect(await client.ended).toEqual({ why: 'expired' })
    expect(restarted.accepted).toHaveLength(0)
  })

  test('a path that is silent is found dead after two pings, and left', async () => {
    const clock = createTestClock()
    const made = world({ clock })
    const client = await made.connect()
    await clock.advance(100)
    const [first, second] = made.links[0]!.ends
    first._write = (_chunk, _encoding, done) => done() // swallowed both ways
    second._write = (_chunk, _encoding, done) => done()
    await clock.advance(4_000)
    expect(client.stats.cuts).toBe(0)
    await clock.advance(12_000)
    expect(client.stats.cuts).toBe(1)
    expect(made.links).toHaveLength(2)
    expect(client.stats.isConnected).toBe(true)
  })
})

describe('refusal', () => {
  test('the reason is readable at the client, and final', async () => {
    const made = world({ authorize: () => 'not authorized' })
    await expect(made.connect()).rejects.toThrow(
      expect.objectContaining({ code: 'peer.refused', message: expect.stringContaining('refused: not authorized') }),
    )
    expect(made.links).toHaveLength(1)
    expect(made.accepted).toHaveLength(0)
  })

  test('an unknown version is refused and named', async () => {
    const { message } = await greet(world(), { version: 7 })
    expect(message.type).toBe(types.refused)
    expect(told(message)).toMatchObject({ code: 'version', reason: expect.stringContaining('you asked for 7') })
  })

  test('the resume token of another peer, a wrong one and none at all are refused alike', async () => {
    const made = world()
    const { message } = await greet(made, {})
    expect(message.type).toBe(types.welcome)
    const { session, token } = told(message)
    const answers = [
      await greet(made, { session, token }, 'thief'),
      await greet(made, { session, token: 'wrong' }),
      await greet(made, { session }),
      await greet(made, { session: 'none', token }),
    ]
    for (const { message: answer } of answers)
      expect([answer.type, told(answer)]).toEqual([types.refused, { code: 'expired', reason: 'there is no such session' }])
    const { message: own } = await greet(made, { session, token })
    expect(own.type).toBe(types.welcome)
    expect(made.accepted).toHaveLength(1)
  })

  test('a returning client that claims frames which never were ends its session', async () => {
    const made = world()
    const { session, token } = told((await greet(made, {})).message)
    const next = link()
    made.serve(next.server)
    next.client.duplex.resume()
    next.client.duplex.write(hello({ session, token }, 9))
    expect(await made.accepted[0]!.ended).toMatchObject({ why: 'garbage' })
  })

  test('sessions are bounded, of one peer and in all', async () => {
    const made = world({ settings: { maxSessions: 3, maxSessionsPerPeer: 2 } })
    await greet(made, {}, 'a')
    await greet(made, {}, 'a')
    expect(told((await greet(made, {}, 'a')).message)).toMatchObject({ code: 'busy' })
    await greet(made, {}, 'b')
    expect(told((await greet(made, {}, 'c')).message)).toMatchObject({ code: 'busy' })
    expect(made.server.count()).toBe(3)
  })

  test('a revoked peer loses every session within a second and does not come back', async () => {
    let reason: string | undefined
    const made = world({ authorize: () => reason })
    const [one, two] = [await made.connect(), await made.connect()]
    const other = await made.connect({}, 'other')
    reason = 'not authorized any more'
    const start = performance.now()
    expect(made.server.revoke('client')).toBe(2)
    expect(await one.ended).toEqual({ why: 'cut', problem: 'refused: not authorized any more' })
    expect(await two.ended).toEqual({ why: 'cut', problem: 'refused: not authorized any more' })
    expect(performance.now() - start).toBeLessThan(1_000)
    expect(made.server.count()).toBe(1)
    made.links.at(-1)!.cut(true) // and whoever was only cut is asked again when it comes back
    expect(await other.ended).toEqual({ why: 'cut', problem: 'refused: not authorized any more' })
    expect(made.links).toHaveLength(4)
    expect(made.server.count()).toBe(0)
  })
})
