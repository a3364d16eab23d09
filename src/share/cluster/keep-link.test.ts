// Which host a member goes to: the first that answers, another at once when that is lost, the first again when it is back; and how patient it is.
import { expect, test } from 'vitest'
import { createTestClock } from '../../../test/kit/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import type { Way } from './cluster.ts'
import { type KeptLink, keepLink } from './keep-link.ts'
import type { Link } from './link.ts'
import { Busy, NoMember } from './proof.ts'

/** Hosts that a test lets come and go; what is not `up` is not there. */
function network(names: readonly string[], begin: Readonly<Record<string, Error | undefined>> = {}) {
  const clock = createTestClock()
  const up = new Map<string, Error | undefined>(Object.entries(begin))
  const open = new Map<string, () => void>()
  const dialled: string[] = []
  const seen: (string | undefined)[] = []
  const kept: KeptLink = keepLink({
    clock,
    log,
    ways: () => names.map((peer): Way => ({ peer, address: peer })),
    async open({ peer }) {
      dialled.push(peer)
      const problem = up.has(peer) ? up.get(peer) : new Error('nobody is there')
      if (problem) throw problem
      const ended = Promise.withResolvers<string>()
      const link: Link = { host: peer, want: async () => undefined, tell() {}, ended: ended.promise, close: async () => end() }
      const end = (): void => {
        open.delete(peer)
        kept.lost(link)
        ended.resolve('lost')
      }
      open.set(peer, end)
      return link
    },
    onChange: (link) => void seen.push(link?.host),
  })
  const down = (peer: string): void => {
    up.delete(peer)
    open.get(peer)?.()
  }
  return { clock, kept, up, down, dialled, seen, open, now: () => kept.now?.host }
}

test('when the host is lost the next one is there at once, for those who wait, too; the first is taken again when it is back', async () => {
  const { clock, kept, up, down, open, now } = network(['a', 'b'], { a: undefined, b: undefined })
  expect(await kept.begun).toBeUndefined()
  expect(now()).toBe('a')
  down('a')
  expect(now()).toBeUndefined()
  expect((await kept.ready())?.host).toBe('b')
  await clock.advance(20_000)
  expect(now()).toBe('b')
  up.set('a', undefined)
  await clock.advance(5_000)
  expect(now()).toBe('a')
  expect([...open.keys()]).toEqual(['a'])
  await kept.close()
  expect(clock.waiting).toBeLessThanOrEqual(3) // moments of grace, which keep no process alive
})

test('with nobody there who waits is let go at once, and it is tried less and less often', async () => {
  const { clock, kept, dialled, up, now } = network(['a'])
  expect((await kept.begun)?.message).toBe('nobody is there')
  expect(await kept.ready()).toBeUndefined()
  await clock.advance(1_000)
  expect(dialled).toHaveLength(2)
  await clock.advance(60_000)
  expect(dialled.length).toBeLessThan(11)
  up.set('a', undefined)
  await clock.advance(10_000)
  expect(now()).toBe('a')
  await kept.close()
})

test('one that is busy is asked again soon, and nobody after it; who refuses us is left alone for a minute', async () => {
  const busy = network(['a', 'b'], { a: new Busy('it has a host itself'), b: undefined })
  expect(await busy.kept.begun).toBeInstanceOf(Busy)
  expect(busy.dialled).toEqual(['a'])
  busy.up.set('a', undefined)
  await busy.clock.advance(250)
  expect(busy.now()).toBe('a')
  await busy.kept.close()

  const refused = network(['a'], { a: new NoMember('it has another secret') })
  expect(await refused.kept.begun).toBeInstanceOf(NoMember)
  await refused.clock.advance(59_000)
  expect(refused.dialled).toHaveLength(1)
  await refused.clock.advance(1_000)
  expect(refused.dialled).toHaveLength(2)
  await refused.kept.close()
})

test('a host that is lost again and again is not dialled without a pause', async () => {
  const { clock, kept, up, down, dialled, now } = network(['a'], { a: undefined })
  await kept.begun
  for (let round = 0; round < 20; round++) {
    down('a')
    up.set('a', undefined)
    await clock.advance(100)
  }
  expect(dialled.length).toBeLessThanOrEqual(4)
  await clock.advance(1_000)
  expect(now()).toBe('a')
  await kept.close()
})

test('what opens when it was closed already is closed as well', async () => {
  const { kept, open, now } = network(['a'], { a: undefined })
  await kept.close()
  expect(await kept.begun).toBeInstanceOf(Error)
  expect([...open.keys()]).toEqual([])
  expect(now()).toBeUndefined()
})
