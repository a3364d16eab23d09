// Deny by default, patterns without backtracking, tokens known by their hash alone.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { members } from '../wire/locate.ts'
import type { ArgumentRule, ArgumentRules, Given } from './argument-rule.ts'
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

describe('arguments', () => {
  const given = (json: string): Given => {
    const bytes = Buffer.from(json)
    return Array.from(members(bytes, [0, bytes.length]), ({ name, value }) => ({ name, text: () => bytes.toString('utf8', ...value) }))
  }
  const judged = (rules: ArgumentRules, json: string) => {
    const permit = createPolicy([rule({ tools: ['t'], arguments: rules })]).permit('ann', 'files')
    return permit.judge({ kind: 'tool', name: 't', given: given(json) })
  }

  test.each<[string, ArgumentRule, string[], string[]]>([
    ['a text', { is: ['r'] }, ['"r"', '"\\u0072"'], ['"R"', '"r "', '""', '["r"]', 'null', '0', '{"r":1}']],
    ['a pattern', { is: ['a*z'] }, ['"az"', '"a\\nz"'], ['"a"', '"zaz"']],
    [
      'numbers and truth',
      { is: [1, true, 'x'] },
      ['1', '1.0', '1e0', 'true', '"x"'],
      ['"1"', '2', 'false', '"true"', '1.0000000000000000001'],
    ],
    [
      'bounds',
      { min: 0, max: 100 },
      ['0', '100', '1e2', '99.5', '-0'],
      ['-1', '100.5', '1e400', '"5"', '100.00000000000000001', 'true', 'null', '1e-400'],
    ],
    [
      'a folder',
      { below: '/srv/' },
      ['"/srv"', '"/srv/a"', '"/srv//a"', '"/srv/..a"'],
      [
        '"/srvx"',
        '"/srv/../etc"',
        '"/srv/./a"',
        '"srv/a"',
        '"/"',
        '"/srv/a\\u0000/../../etc"',
        '"/srv/\\u002e\\u002e/etc"',
        '"file:///srv/a"',
        '5',
      ],
    ],
    ['a folder and a pattern', { below: '/srv', is: ['*.txt'] }, ['"/srv/a.txt"'], ['"/srv/a"', '"/a.txt"']],
  ])('%s', (_what, one, good, bad) => {
    for (const value of good) expect([value, judged({ a: one }, `{"a":${value},"b":1}`).allowed]).toEqual([value, true])
    for (const value of bad)
      expect(judged({ a: one }, `{"a":${value}}`), value).toEqual({
        allowed: false,
        reason: 'no rule lets ann use the tool t of files like this: the argument a is none that a rule allows',
      })
  })

  test('what is left out is refused, unless it may be', () => {
    expect(judged({ a: { is: ['x'] } }, '{}').reason).toContain('the argument a is missing')
    expect(judged({ a: { is: ['x'], optional: true } }, '{"b":1}').allowed).toBe(true)
    expect(judged({ a: { is: ['x'], optional: true } }, '{"a":"y"}').allowed).toBe(false)
  })

  test.each(['A', '\\u0041', 'ａ', 'ª'])('a name that a less strict reader takes for it is refused: %s', (name) => {
    for (const json of [`{"a":"x","${name}":"y"}`, `{"${name}":"x"}`])
      expect(judged({ a: { is: ['x'], optional: true } }, json).reason).toContain('differs from a only in letter case')
    expect(judged({ a: { is: ['x'] } }, '{"a":"x","a":"x"}').reason).toContain('stands twice')
  })

  test('arguments that are no object fit no rule, and a tool without such a rule needs none', () => {
    const permit = createPolicy([
      rule({ tools: ['t'], arguments: { a: { is: ['x'], optional: true } } }),
      rule({ tools: ['free'], resources: ['*'] }),
    ]).permit('ann', 'files')
    expect(permit.judge({ kind: 'tool', name: 't', given: undefined }).allowed).toBe(false)
    expect(permit.judge({ kind: 'tool', name: 't' }).allowed).toBe(false)
    expect(permit.judge({ kind: 'tool', name: 'free' }).allowed).toBe(true)
    expect(['t', 'free', 'other'].map((name) => permit.shows('tool', name))).toEqual([true, true, false])
    expect(permit.shows('prompt', 't')).toBe(false)
  })

  test('one of several rules is enough; a tool that any of them marks needs a yes', () => {
    const permit = createPolicy([
      rule({ tools: ['t'], arguments: { a: { is: ['x'] } } }),
      rule({ tools: ['t'], arguments: { a: { is: ['y'] } }, approve: ['t*'] }),
    ]).permit('ann', 'files')
    expect(['"x"', '"y"', '"z"'].map((value) => permit.judge({ kind: 'tool', name: 't', given: given(`{"a":${value}}`) }).allowed)).toEqual(
      [true, true, false],
    )
    expect(['t', 'tt', 'x'].map((name) => permit.needsApproval(name))).toEqual([true, true, false])
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
