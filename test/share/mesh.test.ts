// A group whose host goes: members that can be reached take its place, nothing that is asked for already is asked for twice, and all come back to the host.
import { expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { type ApiDouble, apiDouble } from '../kit/api-double.ts'
import { groupBed } from './group-bed.ts'

/** The API keeps the next call until `release`. */
function holdNext(api: ApiDouble): { readonly isAsked: Promise<void>; release(): void } {
  const [asked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  api.instead = (_, response) => {
    api.instead = undefined
    void released.promise.then(() => response.writeHead(200, { 'content-type': 'application/json' }).end('{"held":true}'))
    asked.resolve()
    return true
  }
  return { isAsked: asked.promise, release: released.resolve }
}

test(
  'the host is killed while a call is under way: the next in line grants leases, nothing is asked for twice, and all go back',
  { timeout: 60_000 },
  async () => {
    const api = await apiDouble()
    const { host: begin, member } = await groupBed(api)
    const host = await begin()
    const one = await member({ listens: 2 })
    const two = await member({ listens: 3 })
    const three = await member()
    const { isAsked, release } = holdNext(api)
    const held = three.ask('/repos/o/held', 'job3')
    await isAsked
    const waiting = two.ask('/repos/o/held', 'job2')
    await two.ask('/repos/o/before', 'job2') // so the host has heard of the one before
    await host.close()
    const members = [one, two, three]
    await expect.poll(() => members.map(({ proxy }) => proxy.stats().connected_peers), { timeout: 10_000 }).toEqual([2, 1, 1])
    expect((await one.ask('/repos/o/settled')).status).toBe(200) // leases are granted again
    release()
    expect((await held).text).toBe('{"held":true}')
    expect((await waiting).text).toBe('{"held":true}')
    for (const { ask } of [three, one]) expect((await ask('/repos/o/before', 'job1')).status).toBe(200) // which two has kept
    for (let number = 0; number < 10; number++) await Promise.all(members.map(({ ask }, at) => ask(`/repos/o/r${number}`, `job${at}`)))
    expect(api.seen).toHaveLength(13)
    await one.ask('/repos/o/r1/issues', 'job1', 'POST')
    await expect.poll(async () => (await three.ask('/repos/o/r1', 'job3')).text).toContain('"version":2')

    await one.close() // the one in the host's place goes as well
    await expect.poll(() => [two, three].map(({ proxy }) => proxy.stats().connected_peers), { timeout: 10_000 }).toEqual([1, 1])
    const seen = api.seen.length
    await Promise.all([two, three].map(({ ask }, at) => ask('/repos/o/late', `job${at}`)))
    expect(api.seen.length - seen).toBe(1)

    const again = await begin()
    await expect.poll(() => again.proxy.stats().connected_peers, { timeout: 15_000 }).toBe(2)
    expect(two.proxy.stats().connected_peers).toBe(1)
    await two.ask('/repos/o/last', 'job2')
    expect((await again.ask('/repos/o/last')).status).toBe(200)
    expect(api.seen.length - seen).toBe(2)
  },
)

test('at the limit of the API one of the group asks, and all wait', async () => {
  const api = await apiDouble()
  const { host: begin, member } = await groupBed(api)
  const host = await begin()
  const [one, two] = [await member(), await member()]
  api.instead = (_, response) => (response.writeHead(429, { 'retry-after': '20' }).end('{"message":"slow down"}'), true)
  const answers = await Promise.all([one, two, host].map(({ ask }, at) => ask('/repos/o/r', `job${at}`)))
  expect(answers.map(({ status, text }) => [status, text])).toEqual(Array.from({ length: 3 }, () => [429, '{"message":"slow down"}']))
  const late = await member()
  for (const { ask } of [one, two, host, late]) expect((await ask('/repos/o/other')).status).toBe(429)
  expect(api.seen).toHaveLength(1)
})

test('the limit of who has no credential is one of that machine alone', async () => {
  const api = await apiDouble()
  const { host: begin, member } = await groupBed(api)
  await begin()
  const [one, two] = [await member(), await member()]
  api.instead = (_, response) => (response.writeHead(429, { 'retry-after': '20' }).end(), true)
  expect((await one.ask('/repos/o/r', '')).status).toBe(429)
  api.instead = undefined
  expect((await two.ask('/repos/o/r', '')).status).toBe(200)
  expect((await one.ask('/repos/o/other', '')).status).toBe(429)
  expect(api.seen).toHaveLength(2)
})

test('after a write one of those who wait asks for all', async () => {
  const api = await apiDouble()
  const { host: begin, member } = await groupBed(api)
  const host = await begin()
  const members = [await member(), await member(), await member()]
  const { isAsked, release } = holdNext(api)
  const held = members[0]!.ask('/repos/o/r')
  await isAsked
  const waiting = members.flatMap(({ ask }) => [ask('/repos/o/r'), ask('/repos/o/r')])
  await Promise.all(members.map(({ ask }) => ask('/repos/o/before'))) // so the host has heard of all
  await host.ask('/repos/o/r/issues', 'one', 'POST')
  release()
  expect((await held).text).toBe('{"held":true}')
  for (const { text } of await Promise.all(waiting)) expect(text).toContain('"version":2')
  expect(api.seen.map(({ url }) => url).sort()).toEqual(['/repos/o/before', '/repos/o/r', '/repos/o/r', '/repos/o/r/issues'])
})

test('what is written while there is no host is told to the next one', async () => {
  const api = await apiDouble()
  const { host: begin, member } = await groupBed(api)
  const host = await begin()
  const one = await member()
  expect((await one.ask('/repos/o/r')).text).toContain('"version":1')
  await host.close()
  await expect.poll(() => one.proxy.stats().connected_peers).toBe(0)
  expect((await one.ask('/repos/o/r/issues', 'one', 'POST')).status).toBe(200)
  const again = await begin()
  await expect.poll(() => again.proxy.stats().connected_peers, { timeout: 15_000 }).toBe(1)
  await one.ask('/repos/o/after') // answered after all that was said before
  expect((await again.ask('/repos/o/r')).text).toContain('"version":2')
})

test('without a shared scope the limit of one credential is no limit for another', async () => {
  const api = await apiDouble()
  const { host: begin, member } = await groupBed(api)
  await begin({ sharedScope: undefined })
  const [one, two] = [await member({ sharedScope: undefined }), await member({ sharedScope: undefined })]
  api.instead = (incoming, response) => {
    const isLimited = incoming.headers.authorization === 'token one'
    if (isLimited) response.writeHead(429, { 'retry-after': '20' }).end()
    return isLimited
  }
  expect((await one.ask('/repos/o/r', 'one')).status).toBe(429)
  expect((await two.ask('/repos/o/r', 'two')).status).toBe(200)
  expect((await two.ask('/repos/o/other', 'one')).status).toBe(429)
  expect(api.seen).toHaveLength(2)
})

test('who knows the old secret alone is out: told so, and nothing of what it shared is served', async () => {
  const api = await apiDouble()
  const { host: begin, member } = await groupBed(api)
  const before = await begin()
  const old = await member()
  await old.ask('/repos/o/r')
  expect((await before.ask('/repos/o/r')).status).toBe(200)
  await before.close()
  const after = await begin({ secret: new Secret('new') })
  const stranger = await member()
  expect(stranger.joined?.message).toContain('another secret')
  const known = await member({ secret: new Secret('new') })
  expect(known.joined).toBeUndefined()
  expect((await known.ask('/repos/o/r')).status).toBe(200)
  expect((await after.ask('/repos/o/r')).status).toBe(200)
  expect(api.seen).toHaveLength(2)
  expect(after.proxy.stats().connected_peers).toBe(1)
})

test('the host tells what all of the group have counted, also those that are gone, and it is what the API counts', async () => {
  const api = await apiDouble()
  const { host: begin, member } = await groupBed(api)
  const host = await begin()
  const [one, two] = [await member(), await member()]
  await Promise.all([one, two].map(({ ask }) => ask('/repos/o/r')))
  await one.ask('/repos/o/r')
  await one.ask('/repos/o/other')
  await host.ask('/repos/o/third')
  await one.close()
  await expect
    .poll(() => host.proxy.stats().group, { timeout: 10_000 })
    .toMatchObject({ members: 2, api_calls_made: 3, api_calls_saved: 2, hits: 2, misses: 3 })
  expect(api.seen).toHaveLength(3)
  expect(two.proxy.stats().group).toBeUndefined()
})
