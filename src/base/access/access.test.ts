// Deny by default, patterns without backtracking, tokens known by their hash alone.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bareUri } from './bare-uri.ts'
import { createPolicy } from './policy.ts'
import { bearerToken, createDirectory, tokenHash } from './principal.ts'

const rule = (rest: Partial<Parameters<typeof createPolicy>[0][number]>): Parameters<typeof createPolicy>[0][number] => ({
  principals: ['ann'],
  upstreams: ['files'],
  tools: [],
  resources: [],
  prompts: [],
  ...rest,
})

describe('policy', () => {
  test('nobody may do anything without a rule', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (principal, upstream, name) => {
        expect(createPolicy([]).permit(principal, upstream).judge({ kind: 'tool', name }).allowed).toBe(false)
        expect(createPolicy([]).permit(principal, upstream).judge({ kind: 'list' }).allowed).toBe(false)
      }),
    )
  })

  test('a rule allows what it names and nothing else, with a reason', () => {
    const permit = createPolicy([rule({ tools: ['read_*', 'stat'] })]).permit('ann', 'files')
    const allowed = (name: string): boolean => permit.judge({ kind: 'tool', name }).allowed
    expect(['read_file', 'read_', 'stat'].map(allowed)).toEqual([true, true, true])
    expect(['read', 'write_file', 'stat2', 'Stat', ''].map(allowed)).toEqual([false, false, false, false, false])
    expect(permit.judge({ kind: 'prompt', name: 'stat' }).allowed).toBe(false)
    expect(permit.judge({ kind: 'tool', name: 'rm' }).reason).toBe('no rule lets ann use the tool rm of files')
    expect(
      createPolicy([rule({ tools: ['*'] })])
        .permit('bob', 'files')
        .judge({ kind: 'tool', name: 'stat' }).allowed,
    ).toBe(false)
  })

  test('a method is allowed by a rule for methods alone, and what has no name by none', () => {
    const all = createPolicy([rule({ tools: ['*'], resources: ['*'], prompts: ['*'] })]).permit('ann', 'files')
    expect(all.judge({ kind: 'method', name: 'tasks/get' })).toEqual({
      allowed: false,
      reason: 'no rule lets ann use the method tasks/get of files',
    })
    const some = createPolicy([rule({ methods: ['tasks/*'] })]).permit('ann', 'files')
    expect(['tasks/get', 'tasks/', 'tasks', 'Tasks/get'].map((name) => some.judge({ kind: 'method', name }).allowed)).toEqual([
      true,
      true,
      false,
      false,
    ])
    expect(some.judge({ kind: 'tool', name: 'tasks/get' }).allowed).toBe(false)
    for (const kind of ['tool', 'resource', 'prompt', 'method'] as const) expect(all.judge({ kind, name: undefined }).allowed).toBe(false)
  })

  test('a refusal tells a resource without what may be a credential', () => {
    const uri = 'https://me:pw@host.example/a?key=pw#pw'
    expect(
      createPolicy([rule({})])
        .permit('ann', 'files')
        .judge({ kind: 'resource', name: uri }).reason,
    ).toBe('no rule lets ann use the resource https://host.example/a of files')
  })

  test.each([
    ['file:///a/b', 'file:///a/b'],
    ['https://me@host/p@q', 'https://host/p@q'],
    ['https://a@b@host:1/', 'https://host:1/'],
    ['/mcp/up?access_token=x', '/mcp/up'],
    ['//me:x@host/p', '//host/p'],
    ['mailto:me@host', 'mailto:me@host'],
    ['', ''],
  ])('%j is written down as %j', (uri, bare) => {
    expect(bareUri(uri)).toBe(bare)
  })

  test('patterns agree with their plain meaning', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 })
    fc.assert(
      fc.property(letters, fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 }), (pattern, name) => {
        const meaning = new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(name)
        expect(
          createPolicy([rule({ tools: [pattern] })])
            .permit('ann', 'files')
            .judge({ kind: 'tool', name }).allowed,
        ).toBe(meaning)
      }),
    )
  })
})

describe('credentials', () => {
  const directory = createDirectory([{ name: 'ann', tokenHashes: [tokenHash('s3cret')], peers: ['12D3x'] }])
  test('the right ones prove a principal', () => {
    expect(directory.byTokenHash(tokenHash('s3cret'))).toEqual({ name: 'ann', via: 'token' })
    expect(directory.byPeer('12D3x')).toEqual({ name: 'ann', via: 'peer' })
  })
  test('anything else proves nothing', () => {
    expect(directory.byTokenHash(tokenHash('S3cret'))).toBeUndefined()
    expect(directory.byTokenHash('s3cret')).toBeUndefined()
    expect(directory.byPeer('12D3')).toBeUndefined()
  })
  test.each([
    [undefined, undefined],
    ['', undefined],
    ['Bearer', undefined],
    ['Bearer ', undefined],
    ['Basic abc', undefined],
    ['Bearer a b', undefined],
    ['Bearer abc', 'abc'],
    ['bearer abc=', 'abc='],
  ])('the header %j holds the token %j', (header, token) => {
    expect(bearerToken(header)).toBe(token)
  })
})
