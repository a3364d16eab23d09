// The caching proxy in front of an API that counts: what reaches it is what its own count says, and ours agrees with it.
import { mkdtemp } from 'node:fs/promises'
import { readFileSync, readdirSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { removeFolder } from '../../src/kernel/file.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import type { Clock } from '../../src/kernel/clock.ts'
import { openStore } from '../../src/base/store/store.ts'
import { placesIn } from '../../src/share/places.ts'
import { type Proxy, type ProxySettings, openProxy } from '../../src/share/proxy.ts'
import { type ApiDouble, apiDouble } from '../kit/api-double.ts'
import { later } from '../kit/cleanup.ts'

type Answer = { readonly status: number; readonly headers: Record<string, string | string[] | undefined>; readonly text: string }
type Asking = { method?: string; token?: string; body?: string; headers?: Record<string, string> }

/** The wall clock, moved on by what a test says. */
function movedClock(): Clock & { movedMs: number } {
  const clock = { ...systemClock, movedMs: 0, now: () => systemClock.now() + clock.movedMs, mono: () => systemClock.mono() + clock.movedMs }
  return clock
}

type Rig = {
  readonly api: ApiDouble
  readonly proxy: Proxy
  readonly clock: ReturnType<typeof movedClock>
  readonly folder: string
  ask(target: string, asking?: Asking): Promise<Answer>
  restart(more?: Partial<ProxySettings>): Promise<void>
}

async function rig(more: Partial<ProxySettings> = {}): Promise<Rig> {
  const api = await apiDouble()
  const folder = await mkdtemp(join(tmpdir(), 'share-'))
  later(() => removeFolder(folder))
  const clock = movedClock()
  const places = placesIn({ state: join(folder, 'state'), runtime: join(folder, 'run') })
  const settings = {
    api: { url: new URL(api.url), names: ['api.github.com'] },
    maxBytes: 32 << 20,
    staleMs: 0,
    defaultTtlMs: 300_000,
    group: '',
    ...more,
  }
  const open = (given: Partial<ProxySettings>) => openProxy({ clock, log: silentLog }, places, { ...settings, ...given })
  let proxy = await open({})
  later(() => proxy[Symbol.asyncDispose]())
  return {
    api,
    clock,
    folder,
    get proxy() {
      return proxy
    },
    ask: (target, asking) => askAt({ socketPath: places.socket }, target, asking),
    async restart(given = {}) {
      await proxy[Symbol.asyncDispose]()
      proxy = await open(given)
    },
  }
}

function askAt(
  at: { socketPath: string } | { port: number },
  target: string,
  { method = 'GET', token = 'one', body, headers = {} }: Asking = {},
): Promise<Answer> {
  const authorization = token === '' ? {} : { authorization: `token ${token}` }
  return new Promise((resolve, reject) => {
    const sent = request(
      { ...at, host: '127.0.0.1', path: target, method, headers: { host: 'localhost', ...authorization, ...headers }, agent: false },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text })).on('error', reject)
      },
    )
    sent.on('error', reject).end(body)
  })
}

test('the same call is made once: at once, later, and after a new start', async () => {
  const { api, proxy, ask, restart } = await rig()
  api.delayMs = 50
  const direct = await (await fetch(`${api.url}/repos/o/r`, { headers: { authorization: 'token one' } })).text()
  api.seen.length = 0
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask('/repos/o/r')))
  expect(api.seen).toHaveLength(1)
  expect(new Set(answers.map(({ text }) => text))).toEqual(new Set([direct]))
  expect((await ask('/repos/o/r')).headers['cache-status']).toBe('fairlead; hit')
  expect(proxy.stats()).toMatchObject({ misses: 1, local_hits: 20, api_calls_made: 1, api_calls_saved: 20, hit_rate: 20 / 21 })
  await restart()
  expect((await ask('/repos/o/r')).text).toBe(direct)
  expect(api.seen).toHaveLength(1)
})

test('thirty calls of five clients at once are thirty; the same with five tokens only in a shared scope', async () => {
  for (const [sharedScope, calls] of [
    [undefined, 150],
    ['ci', 30],
  ] as const) {
    const { api, proxy, ask } = await rig({ sharedScope })
    api.delayMs = 5
    const clients = ['a', 'b', 'c', 'd', 'e'].map(async (token) => {
      for (let at = 0; at < 30; at++) expect((await ask(`/repos/o/r${at}`, { token })).status).toBe(200)
    })
    await Promise.all(clients)
    expect(api.seen).toHaveLength(calls)
    expect(proxy.stats()).toMatchObject({ api_calls_made: calls, api_calls_saved: 150 - calls })
  }
})

test('a private answer of one credential is never given to another, nor to who has none', async () => {
  const { api, ask } = await rig()
  api.instead = (incoming, response) => (response.end(JSON.stringify({ for: incoming.headers.authorization ?? 'nobody' })), true)
  for (const token of ['one', 'two', '', 'one', '']) expect((await ask('/user', { token })).text).toContain(token === '' ? 'nobody' : token)
  expect(api.seen).toHaveLength(3)
})

test('after its time the API is asked with the ETag of that token, and a 304 renews', async () => {
  const { api, proxy, ask, clock } = await rig({ sharedScope: 'ci' })
  const first = await ask('/repos/o/r')
  clock.movedMs += 301_000
  expect((await ask('/repos/o/r', { token: 'two' })).status).toBe(200) // the ETag is not of this token
  expect(api.seen.map(({ status, condition }) => [status, condition])).toEqual([
    [200, undefined],
    [200, undefined],
  ])
  clock.movedMs += 301_000
  const again = await ask('/repos/o/r', { token: 'two' })
  expect(again.text).toBe(first.text)
  expect(api.seen.at(-1)).toMatchObject({ status: 304 })
  expect((await ask('/repos/o/r')).headers['cache-status']).toBe('fairlead; hit')
  expect(api.seen).toHaveLength(3)
  expect(proxy.stats()).toMatchObject({ misses: 3, not_modified: 1, expirations: 2, api_calls_made: 3, local_hits: 1 })
  api.version++
  clock.movedMs += 301_000
  expect((await ask('/repos/o/r', { token: 'two' })).text).toContain('"version":2')
})

test('a client with its own ETag is told 304 from here', async () => {
  const { api, ask } = await rig()
  const { etag } = (await ask('/repos/o/r')).headers
  expect(await ask('/repos/o/r', { headers: { 'if-none-match': String(etag) } })).toMatchObject({ status: 304, text: '' })
  expect((await ask('/repos/o/r', { headers: { 'if-none-match': '"other"' } })).status).toBe(200)
  expect(api.seen).toHaveLength(1)
})

test('writes pass through, and what is kept of that repository goes, of others it stays', async () => {
  const { api, proxy, ask } = await rig()
  const reads = ['/repos/o/r/issues', '/repos/O/R', '/repos/o/other']
  for (const target of reads) await ask(target)
  expect((await ask('/repos/o/r/issues', { method: 'POST', body: '{"title":"x"}' })).status).toBe(200)
  for (const target of reads) await ask(target)
  expect(api.seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
    ...reads.map((target) => `GET ${target}`),
    'POST /repos/o/r/issues',
    'GET /repos/o/r/issues',
    'GET /repos/O/R',
  ])
  expect(proxy.stats()).toMatchObject({ api_calls_made: 6, passed: 1, api_calls_saved: 1 })
})

test('what was asked before a write and answered after it is not kept', async () => {
  const { api, ask } = await rig()
  let answerRead = (): void => {}
  const isAsked = new Promise<void>((resolve) => {
    api.instead = (incoming, response) => {
      if (incoming.method !== 'GET') return false
      answerRead = () => void response.end('{"old":true}')
      resolve()
      return true
    }
  })
  const read = ask('/repos/o/r')
  await isAsked
  await ask('/repos/o/r/issues', { method: 'POST', body: '{}' })
  answerRead()
  await read
  api.instead = undefined
  expect((await ask('/repos/o/r')).text).not.toContain('old')
})

test('GraphQL: queries are kept by their text and variables, mutations and errors are not', async () => {
  const { api, ask } = await rig()
  const query = (text: string, variables = {}) => ask('/graphql', { method: 'POST', body: JSON.stringify({ query: text, variables }) })
  for (let at = 0; at < 2; at++) await query('{ viewer { login } }')
  await query('{ viewer { login } }', { a: 1 })
  expect(api.seen).toHaveLength(2)
  for (let at = 0; at < 2; at++) await query('mutation { done }')
  expect(api.seen).toHaveLength(4)
  await query('{ viewer { login } }')
  expect(api.seen).toHaveLength(5)
  api.instead = (_, response) => (response.end('{"data":null,"errors":[{"message":"no"}]}'), true)
  for (let at = 0; at < 2; at++) await query('{ fails }')
  expect(api.seen).toHaveLength(7)
})

test('errors and what must not be stored are not kept; an error is shared only by who asked with the same credential at the same time', async () => {
  const { api, ask } = await rig({ sharedScope: 'ci' })
  api.instead = (incoming, response) => {
    const isGood = incoming.headers.authorization === 'token good'
    setTimeout(() => response.writeHead(isGood ? 200 : 401).end(JSON.stringify({ isGood })), 1_000)
    return true
  }
  const answers = await Promise.all(['bad', 'bad', 'good', 'good'].map((token) => ask('/repos/o/r', { token })))
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 200, 200])
  expect(api.seen).toHaveLength(2)
  api.instead = undefined
  api.headers = { 'cache-control': 'no-store' }
  await Promise.all([ask('/user'), ask('/user'), ask('/user')])
  expect(api.seen).toHaveLength(5)
})

test('an API that says "not so fast" is left alone until then, for that credential; what is kept still serves', async () => {
  const { api, proxy, ask, clock } = await rig({ staleMs: 3_600_000 })
  await ask('/repos/o/r')
  clock.movedMs += 301_000
  api.instead = (_, response) => (
    response.writeHead(403, { 'retry-after': '30', 'x-ratelimit-remaining': '0' }).end('{"message":"limit"}'),
    true
  )
  expect(await ask('/repos/o/new')).toMatchObject({ status: 403 })
  expect(await ask('/repos/o/newer')).toMatchObject({ status: 403, text: '{"message":"limit"}', headers: { 'retry-after': '30' } })
  expect(await ask('/repos/o/r')).toMatchObject({ status: 200, headers: { 'cache-status': 'fairlead; hit; detail=stale' } })
  expect(api.seen).toHaveLength(2)
  expect((await ask('/repos/o/new', { token: 'two' })).status).toBe(403)
  expect(api.seen).toHaveLength(3)
  api.instead = undefined
  clock.movedMs += 31_000
  expect((await ask('/repos/o/new')).status).toBe(200)
  expect(proxy.stats()).toMatchObject({ api_calls_made: 4, held_back: 1, stale_hits: 1, misses: 4, api_calls_saved: 2 })
})

test('while the API is down: stale if that is allowed, else 502', async () => {
  const { api, ask, clock, restart } = await rig()
  await ask('/repos/o/r')
  await api.close()
  expect((await ask('/repos/o/r')).status).toBe(200)
  clock.movedMs += 301_000
  expect((await ask('/repos/o/r')).status).toBe(502)
  await restart({ staleMs: 600_000 })
  expect(await ask('/repos/o/r')).toMatchObject({ status: 200, headers: { age: expect.stringMatching(/^30\d$/) as string } })
  clock.movedMs += 600_000
  expect((await ask('/repos/o/r')).status).toBe(502)
})

test('an API that fails (5xx) is no reason to give up what is kept', async () => {
  const { api, ask, clock } = await rig({ staleMs: 600_000 })
  await ask('/repos/o/r')
  clock.movedMs += 301_000
  api.instead = (_, response) => (response.writeHead(503).end('down'), true)
  expect(await ask('/repos/o/r')).toMatchObject({ status: 200, headers: { 'cache-status': 'fairlead; hit; detail=stale' } })
  expect((await ask('/repos/o/other')).status).toBe(503)
  api.instead = undefined
  expect((await ask('/repos/o/r')).headers['cache-status']).toBe('fairlead; fwd=miss')
})

test('large answers pass whole and are not kept; requests of other hosts do not reach the API', async () => {
  const { api, ask } = await rig()
  const large = 'x'.repeat(6 << 20)
  api.instead = (_, response) => (response.end(large), true)
  for (let at = 0; at < 2; at++) expect((await ask('/repos/o/r')).text === large).toBe(true)
  expect(api.seen).toHaveLength(2)
  expect((await ask('http://elsewhere.example/repos/o/r')).status).toBe(400)
  expect((await ask('//elsewhere.example/repos/o/r')).status).toBe(200) // a path of the API, however it looks
  expect(api.seen.at(-1)!.url).toBe('//elsewhere.example/repos/o/r')
  expect((await ask('/x', { headers: { host: 'elsewhere.invalid' } })).status).toBe(502)
  expect(api.seen).toHaveLength(3)
})

test('nothing of it can be read on the disk, nor with another secret', async () => {
  const { proxy, ask, folder, restart, api } = await rig({ secret: new Secret('shared'), group: 'o/r' })
  await ask('/repos/o/secret-name', { token: 'secret-token' })
  const shared = join(folder, 'state', 'share')
  const entries = readdirSync(shared, { recursive: true, withFileTypes: true }).filter((found) => found.isFile())
  const files = entries.map((found) => readFileSync(join(found.parentPath, found.name)))
  expect(files.length).toBeGreaterThan(2)
  for (const text of ['secret-name', 'secret-token', 'version', 'content-type'])
    expect(files.some((file) => file.includes(text))).toBe(false)
  expect(proxy.stats().refused).toBe(0)
  await restart({ secret: new Secret('another') })
  await ask('/repos/o/secret-name', { token: 'secret-token' })
  expect(api.seen).toHaveLength(2)
})

test('a file that was changed is refused and counted, and the API asked', async () => {
  const running = await rig()
  const { api, ask, folder, restart, proxy } = running
  const { text } = await ask('/repos/o/r')
  await proxy[Symbol.asyncDispose]()
  const store = openStore({ path: join(folder, 'state/share/entries.db'), migrations: [], clock: running.clock, log: silentLog })
  expect(store.run('UPDATE entry SET sealed = zeroblob(64)').changes).toBe(1)
  store.close()
  await restart()
  expect(await ask('/repos/o/r')).toMatchObject({ status: 200, text })
  expect(api.seen).toHaveLength(2)
  expect(running.proxy.stats().refused).toBe(1)
})

test('at a port of this machine only for its own names', async () => {
  const { api, proxy } = await rig({ port: 0 })
  const port = Number(new URL(proxy.url!).port)
  expect((await askAt({ port }, '/repos/o/r')).status).toBe(200)
  expect((await askAt({ port }, '/repos/o/r', { headers: { host: 'evil.example' } })).status).toBe(403)
  expect(api.seen).toHaveLength(1)
})
