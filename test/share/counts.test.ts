// What five runners, a late one and a stranger cost at the API, by its own count; and that what they counted themselves comes to the same. All are processes of their own.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Member, type MemberSettings, type Runners, repositories, startRunners, wave } from '../bed/runners.ts'

const isLong = process.env['FAIRLEAD_LONG'] !== undefined
const hundred = repositories(100)
let bed: Runners
let host: Member & { readonly address: string }
let runners: readonly Member[]
const others: Member[] = []
/** All that the API has seen since the beginning. */
let seen = 0

beforeAll(async () => {
  bed = await startRunners()
  host = await bed.host()
  runners = await start(5, { flags: ['--p2p-port', '0'] })
  await bed.api.tell({ delayMs: 10 })
}, 60_000)
afterAll(() => bed?.close())

const start = (count: number, settings?: MemberSettings): Promise<readonly Member[]> =>
  Promise.all(Array.from({ length: count }, () => bed.runner(host.address, settings)))

async function calls(): Promise<Awaited<ReturnType<Runners['api']['seen']>>> {
  const made = await bed.api.seen()
  seen += made.length
  return made
}

const sumOf = async (name: string, members = [host, ...runners, ...others]): Promise<number> =>
  (await Promise.all(members.map(({ stats }) => stats()))).reduce((whole, stats) => whole + stats[name]!, 0)

/** Of all that run: made is what the API counted, and saved is all that was asked for less that. */
async function agrees(asked: number): Promise<void> {
  expect({ made: await sumOf('api_calls_made'), saved: await sumOf('api_calls_saved') }).toEqual({ made: seen, saved: asked - seen })
}

test('five cold runners with a hundred calls each make a hundred; again none; a late one none; each is counted as it was', async () => {
  expect(await wave(runners, hundred)).toEqual([200])
  const made = await calls()
  expect(made).toHaveLength(100)
  expect(new Set(made.map(({ url }) => url)).size).toBe(100)
  await agrees(500)
  expect(await wave(runners, hundred)).toEqual([200])
  expect(await calls()).toEqual([])
  await agrees(1_000)
  others.push(await bed.runner(host.address))
  expect(await wave(others, hundred)).toEqual([200])
  expect(await calls()).toEqual([])
  expect(await others[0]!.stats()).toMatchObject({ peer_hits: 100, misses: 0, hit_rate: 1 })
  await agrees(1_100)
})

test('another secret: nothing of the group is taken, it is told, and both sides say so', async () => {
  const before = await host.stats()
  const stranger = await bed.runner(host.address, { env: { CACHE_P2P_SHARED_SECRET: 'another' } })
  others.push(stranger)
  expect(stranger.notes.join('\n')).toContain('it has another secret')
  expect(await wave([stranger], hundred.slice(0, 5), 'job-0')).toEqual([200])
  expect(await calls()).toHaveLength(5)
  expect(await stranger.stats()).toMatchObject({ peer_hits: 0, misses: 5, connected_peers: 0 })
  expect(await host.stats()).toMatchObject({ cache_size: before['cache_size'], connected_peers: before['connected_peers'] })
  await agrees(1_105)
})

test('one token, or one each: as good as each other', async () => {
  expect(await wave(runners, repositories(20, 1_000), 'one-token')).toEqual([200])
  expect(await wave(runners, repositories(20, 2_000))).toEqual([200])
  expect(await calls()).toHaveLength(40)
  await agrees(1_305)
})

test('writes and what must not be kept are calls, each, and so are the reads after them', async () => {
  const [one, other] = runners as [Member, Member]
  expect((await one.ask('/repos/o/r1/issues', { token: 'job-0', method: 'POST', body: '{}' })).status).toBe(200)
  await expect.poll(async () => (await other.ask('/repos/o/r1', { token: 'job-1' })).text).toContain('"version":2')
  const made = await calls()
  expect(made.map(({ method }) => method)).toEqual(['POST', 'GET'])
  expect([await sumOf('api_calls_made'), await sumOf('passed')]).toEqual([seen, 1])
})

test('after its time an answer is asked for with its ETag: only 304s, one for all', async () => {
  const short = await start(2, { env: { CACHE_DEFAULT_TTL: '5' } })
  others.push(...short)
  const paths = Array.from({ length: 10 }, (_, at) => `/orgs/o/teams/${at}`)
  expect(await wave(short, paths, 'one-token')).toEqual([200])
  expect(await calls()).toHaveLength(10)
  await expect.poll(async () => (await wave(short, paths.slice(-1), 'one-token'), await calls()), { timeout: 20_000 }).not.toEqual([])
  expect(await wave(short, paths.slice(0, -1), 'one-token')).toEqual([200])
  const made = await calls()
  expect(made.every(({ status }) => status === 304)).toBe(true)
  expect(made).toHaveLength(9)
  expect(await sumOf('api_calls_made')).toBe(seen)
  expect(await sumOf('not_modified')).toBeGreaterThan(9)
})

test('the host is killed midway: no call fails, and hardly one is made twice', async () => {
  const asking = wave(runners, repositories(100, 3_000))
  let made = 0
  while (made < 50) made += (await calls()).length
  await host.end('SIGKILL')
  expect(await asking).toEqual([200])
  expect(made + (await calls()).length).toBeLessThanOrEqual(105)
  expect(await sumOf('api_calls_made', [...runners, ...others])).toBe(seen) // the host itself asked for nothing
})

test('ten groups in a row begin cold: a hundred calls each time', { timeout: 600_000 }, async ({ skip }) => {
  skip(!isLong, 'not applicable: takes a minute; FAIRLEAD_LONG=1 runs it')
  for (let run = 0; run < 10; run++) {
    const own = await startRunners()
    try {
      const { address } = await own.host()
      const five = await Promise.all(Array.from({ length: 5 }, () => own.runner(address)))
      await own.api.tell({ delayMs: 10 })
      expect(await wave(five, hundred)).toEqual([200])
      expect(await own.api.seen()).toHaveLength(100)
    } finally {
      await own.close()
    }
  }
})
