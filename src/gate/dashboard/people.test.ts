// Proves who is let in to the dashboard: by a link once and in time, by a cookie for as long as it is good and its principal may, and by nothing else.
import { expect, test } from 'vitest'
import { createMemoryKv } from '../../base/kv/memory.ts'
import type { SocketKind } from '../../base/control/api.ts'
import { createTestClock } from '../../../test/kit/clock.ts'
import { type Principal, tokenHash } from '../../base/access/principal.ts'
import { type Known, People } from './people.ts'

const minuteMs = 60_000
const nobody: Known = () => ({ status: 401, reason: 'a valid credential is needed', headers: {} })
const request = (headers: Record<string, string> = {}) => ({ headers }) as Parameters<People['of']>[0]

function setUp() {
  const clock = createTestClock()
  const levels = new Map<string, SocketKind>([['ann', 'change']])
  const bucket = createMemoryKv({ clock }).bucket('dashboard')
  const tokens = new Map<string, Principal>()
  const needs = { clock, bucket, levels, directory: { byTokenHash: (hash: string) => tokens.get(hash) } }
  return { clock, levels, bucket, tokens, people: new People(needs), again: () => new People(needs) }
}

test('a code is good once', async () => {
  const { people } = setUp()
  const code = people.code('ann')
  const { cookie, person } = await people.signIn(code, nobody, request())
  expect(person).toEqual({ name: 'ann', level: 'change', via: 'link' })
  await expect(people.signIn(code, nobody, request())).rejects.toMatchObject({ code: 'dashboard.bad_code' })
  expect(await people.of(request(), cookie, nobody)).toEqual(person)
})

test('a code is good for ten minutes, a cookie for twelve hours', async () => {
  const { people, clock } = setUp()
  const late = people.code('ann')
  const inTime = people.code('ann')
  await clock.advance(10 * minuteMs - 1)
  const { cookie } = await people.signIn(inTime, nobody, request())
  await clock.advance(1)
  await expect(people.signIn(late, nobody, request())).rejects.toMatchObject({ code: 'dashboard.bad_code' })
  await clock.advance(12 * 60 * minuteMs - 2)
  expect(await people.of(request(), cookie, nobody)).toMatchObject({ name: 'ann' })
  await clock.advance(1)
  await expect(people.of(request(), cookie, nobody)).rejects.toMatchObject({ code: 'dashboard.not_signed_in' })
})

test('a cookie outlives the process, but not its principal, and what that may is asked each time', async () => {
  const { people, again, levels } = setUp()
  const { cookie } = await people.signIn(people.code('ann'), nobody, request())
  levels.set('ann', 'observe')
  expect(await again().of(request(), cookie, nobody)).toMatchObject({ name: 'ann', level: 'observe' })
  levels.delete('ann')
  await expect(again().of(request(), cookie, nobody)).rejects.toMatchObject({ code: 'dashboard.not_for_you' })
})

test('nothing that is kept lets anybody in: neither a code nor a cookie is written down', async () => {
  const { people, bucket } = setUp()
  const { cookie } = await people.signIn(people.code('ann'), nobody, request())
  const kept = await Array.fromAsync(bucket.list())
  expect(kept).toHaveLength(1)
  expect(JSON.stringify([kept[0]!.key, Buffer.from(kept[0]!.value).toString()])).not.toContain(cookie)
})

test('a credential in the request counts for more than a cookie, and is not outlived by one', async () => {
  const { people, clock, levels } = setUp()
  levels.set('bob', 'observe')
  const { cookie } = await people.signIn(people.code('ann'), nobody, request())
  const bob: Known = () => ({ name: 'bob', via: 'jwt', untilMs: clock.now() + minuteMs })
  expect(await people.of(request({ authorization: 'Bearer x' }), cookie, bob)).toMatchObject({ name: 'bob' })
  await expect(people.of(request({ authorization: 'Bearer x' }), cookie, nobody)).rejects.toMatchObject({ code: 'dashboard.not_signed_in' })
  const signed = await people.signIn(undefined, bob, request())
  expect(signed.forMs).toBe(minuteMs)
  await clock.advance(minuteMs)
  await expect(people.of(request(), signed.cookie, nobody)).rejects.toMatchObject({ code: 'dashboard.not_signed_in' })
})

test('links and sessions are bounded: the oldest goes', async () => {
  const { people, bucket, clock } = setUp()
  const first = people.code('ann')
  for (let n = 0; n < 64; n++) people.code('ann')
  await expect(people.signIn(first, nobody, request())).rejects.toMatchObject({ code: 'dashboard.bad_code' })
  const cookies: string[] = []
  for (let n = 0; n < 257; n++) {
    await clock.advance(1)
    cookies.push((await people.signIn(people.code('ann'), nobody, request())).cookie)
  }
  expect(await Array.fromAsync(bucket.list())).toHaveLength(256)
  await expect(people.of(request(), cookies[0], nobody)).rejects.toMatchObject({ code: 'dashboard.not_signed_in' })
  expect(await people.of(request(), cookies[256], nobody)).toMatchObject({ name: 'ann' })
})

test('a cookie ends with the static token that it was given for, and what is kept of that is its hash', async () => {
  const { people, again, tokens, bucket, levels } = setUp()
  levels.set('bob', 'observe')
  const ann: Principal = { name: 'ann', via: 'token' }
  tokens.set(tokenHash('secret-of-ann'), ann)
  const { cookie } = await people.signIn(undefined, () => ann, request({ authorization: 'Bearer secret-of-ann' }))
  expect(await again().of(request(), cookie, nobody)).toMatchObject({ name: 'ann', via: 'token' })
  const [kept] = await Array.fromAsync(bucket.list())
  expect(Buffer.from(kept!.value).toString()).not.toContain('secret-of-ann')
  tokens.set(tokenHash('secret-of-ann'), { name: 'bob', via: 'token' })
  await expect(people.of(request(), cookie, nobody)).rejects.toMatchObject({ code: 'dashboard.not_signed_in' })
  tokens.delete(tokenHash('secret-of-ann'))
  await expect(people.of(request(), cookie, nobody)).rejects.toMatchObject({ code: 'dashboard.not_signed_in' })
})
