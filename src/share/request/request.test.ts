// Two requests have one key exactly if one answer serves both; what only asks is told from what may change something.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type AnswerHead, ttlOf, waitOf } from './freshness.ts'
import { hasErrors } from './graphql.ts'
import { type ApiRequest, asked, keyOf, normalTarget, subjectOf } from './request.ts'

const keyBytes = new Uint8Array(32).fill(7)
const request = (more: Partial<ApiRequest> = {}): ApiRequest => ({
  method: 'GET',
  host: 'api.github.com',
  target: '/repos/o/r?a=1&b=2',
  headers: { authorization: 'token one', accept: 'application/json' },
  body: new Uint8Array(),
  ...more,
})
const key = (more: Partial<ApiRequest>, shared?: string): string => keyOf(request(more), { keyBytes, shared })
const graphql = (query: unknown): ApiRequest =>
  request({ method: 'POST', target: '/graphql', body: Buffer.from(JSON.stringify({ query })) })

test('spelling does not count: order of names, escapes, token or Bearer, case of the host', () => {
  for (const same of [
    { target: '/repos/o/r?b=2&a=1' },
    { target: '/repos/%6F/r?%61=1&b=2' },
    { target: '/repos/o/r?a=1&&b=2' },
    { host: 'API.github.com' },
    { headers: { authorization: 'Bearer one', accept: 'application/json', 'user-agent': 'x' } },
  ])
    expect(key(same), JSON.stringify(same)).toBe(key({}))
})

test('what counts does: each difference is another key', () => {
  const keys = [
    {},
    { method: 'POST' },
    { host: 'ghe.example' },
    { target: '/repos/O/r?a=1&b=2' },
    { target: '/repos/o%2Fr?a=1&b=2' },
    { target: '/repos/o/r?a=1&b=3' },
    { target: '/repos/o/r?a=1' },
    { target: '/repos/o/r?a=1&a=2' },
    { target: '/repos/o/r?a=2&a=1' },
    { body: Buffer.from('x') },
    { headers: { accept: 'application/json' } },
    { headers: { authorization: 'token two', accept: 'application/json' } },
    { headers: { authorization: 'token one' } },
    { headers: { authorization: 'token one', accept: 'application/json', 'x-github-api-version': '2022-11-28' } },
  ].map((more) => key(more))
  expect(new Set(keys).size).toBe(keys.length)
})

test('any two targets with one normal form mean the same, and it is its own normal form', () => {
  const part = fc.string({ unit: fc.constantFrom('a', 'B', '%61', '%2f', '%2F', '/', '=', '+', '%26', '.'), maxLength: 6 })
  const parameters = fc.array(fc.tuple(part, part), { maxLength: 5 })
  const meaning = (target: string) => {
    const [path, query = ''] = target.split('?')
    const pairs = query.split('&').filter((text) => text !== '')
    const named = pairs.map((pair) => [decodeURIComponent(pair.split('=')[0]!), decodeURIComponent(pair)] as const)
    return [path!.split('/').map(decodeURIComponent), named.sort(([one], [other]) => (one < other ? -1 : Number(one > other)))]
  }
  fc.assert(
    fc.property(part, parameters, (path, given) => {
      const target = `/${path}?${given.map(([name, value]) => `${name}=${value}`).join('&')}`
      const normal = normalTarget(target)
      expect(normalTarget(normal)).toBe(normal)
      expect(meaning(normal)).toEqual(meaning(target))
    }),
  )
})

test('a credential is a scope of its own, or of the one that was declared; nobody is never of it', () => {
  const two = { headers: { authorization: 'token two', accept: 'application/json' } }
  const nobody = { headers: { accept: 'application/json' } }
  expect(key(two)).not.toBe(key({}))
  expect(key(two, 'ci')).toBe(key({}, 'ci'))
  expect(key({}, 'ci')).not.toBe(key({}, 'other'))
  expect(key(nobody, 'ci')).not.toBe(key({}, 'ci'))
})

test('reads, writes, and what passes', () => {
  expect(asked(request())).toEqual({ is: 'read', mustAsk: false })
  expect(asked(request({ headers: { 'cache-control': 'no-cache' } }))).toEqual({ is: 'read', mustAsk: true })
  for (const name of ['cookie', 'range', 'x-github-otp', 'if-match', 'if-modified-since'])
    expect(asked(request({ headers: { [name]: 'x' } })), name).toEqual({ is: 'pass' })
  expect(asked(request({ headers: { 'cache-control': 'no-store' } }))).toEqual({ is: 'pass' })
  expect(asked(request({ method: 'HEAD' }))).toEqual({ is: 'pass' })
  expect(asked(request({ body: Buffer.from('x') }))).toEqual({ is: 'pass' })
  expect(asked(request({ method: 'POST', target: '/repos/O/r/issues' }))).toEqual({ is: 'write', subject: 'repos/o/r' })
  expect(asked(request({ method: 'PATCH', target: '/repos/o/r' }))).toEqual({ is: 'write', subject: undefined })
  expect(asked(request({ method: 'PATCH', target: '/api/v3/repos/o/r' }))).toEqual({ is: 'write', subject: undefined })
  expect(asked(request({ method: 'DELETE', target: '/api/v3/repos/o/r/hooks/1' }))).toEqual({ is: 'write', subject: 'repos/o/r' })
  expect(asked(request({ method: 'PUT', target: '/user/starred/o/r' }))).toEqual({ is: 'write', subject: undefined })
  expect(asked(request({ method: 'PURGE' }))).toEqual({ is: 'write', subject: undefined })
  expect(subjectOf({ target: '/repos/%6F/R/issues?x' })).toBe('repos/o/r')
})

test('a GraphQL query is a read; a change is a write, however it hides', () => {
  for (const query of [
    '{ viewer { login } }',
    'query A { a(x: "mutation {") }',
    '# mutation\nquery { a }',
    '{ a(b: """ mutation " """) }',
    '{ a(b: """ \\""" mutation """) }',
    '{ a } # "mutation',
  ])
    expect(asked(graphql(query)), query).toEqual({ is: 'read', mustAsk: false })
  for (const query of [
    'mutation { a }',
    'query A { a } mutation B { b }',
    '{ a(x: "\\"") } mutation { b }',
    'subscription { a }',
    '"',
    '# "\nmutation { a }',
    '# """\nmutation { a } # """',
    '# "\rmutation { a } # "',
    '{ a(b: "#") } mutation { b }',
    '{ a(b: """ \\""") } mutation { b(c: """ """) }',
    3,
  ])
    expect(asked(graphql(query)).is, String(query)).toBe('write')
  expect(asked(request({ method: 'POST', target: '/graphql', body: Buffer.from('[{"query":"{a}"}]') })).is).toBe('write')
  expect(hasErrors(Buffer.from('{"data":{}}'))).toBe(false)
  expect(hasErrors(Buffer.from('{"data":{},"errors":[]}'))).toBe(true)
  expect(hasErrors(Buffer.from('<html>'))).toBe(true)
})

test('how long an answer holds: by endpoint, by Cache-Control, or by default, and no error at all', () => {
  const ttl = (target: string, headers: Record<string, string> = {}, status = 200) => ttlOf({ target }, { status, headers }, 7_000)
  const github = {
    'cache-control': 'private, max-age=60, s-maxage=60',
    vary: 'Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding',
  }
  expect(ttl('/repos/o/r', github)).toBe(300_000)
  expect(ttl('/api/v3/repos/o/r', github)).toBe(300_000)
  expect(ttl('/repos/o/r/actions/runs?per_page=1', github)).toBe(60_000)
  expect(ttl('/repos/o/r/actions/runners', github)).toBe(30_000)
  expect(ttl('/repos/o/r/issues', { 'cache-control': 'max-age=12' })).toBe(12_000)
  expect(ttl('/repos/o/r/issues')).toBe(7_000)
  expect(ttl('/graphql')).toBe(60_000)
  expect(ttl('/repos/o/r', { 'cache-control': 'no-cache' })).toBe(0)
  expect(ttl('/repos/o/r', { 'cache-control': 'max-age=0' })).toBe(0)
  expect(ttl('/repos/o/r/issues', { 'cache-control': 'max-age=999999999' })).toBe(86_400_000)
  for (const headers of [{ 'cache-control': 'private, no-store' }, { vary: '*' }, { vary: 'X-Unknown' }, { 'set-cookie': 'a=b' }])
    expect(ttl('/repos/o/r', headers as Record<string, string>), JSON.stringify(headers)).toBeUndefined()
  for (const status of [201, 202, 301, 304, 403, 404, 500]) expect(ttl('/repos/o/r', {}, status), String(status)).toBeUndefined()
})

test('how long an API wants to be left alone', () => {
  const nowMs = 1_000_000
  const wait = (status: number, headers: AnswerHead['headers']) => waitOf({ status, headers }, nowMs)
  expect(wait(403, {})).toBeUndefined()
  expect(wait(404, { 'retry-after': '9' })).toBeUndefined()
  expect(wait(403, { 'retry-after': '9' })).toBe(9_000)
  expect(wait(429, {})).toBe(60_000)
  expect(wait(403, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1030' })).toBe(30_000)
  expect(wait(403, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1' })).toBe(1_000)
  expect(wait(403, { 'x-ratelimit-remaining': '5', 'x-ratelimit-reset': '1030' })).toBeUndefined()
  expect(wait(429, { 'retry-after': '99999999' })).toBe(3_600_000)
})
