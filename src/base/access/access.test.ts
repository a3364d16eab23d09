// Deny by default, patterns without backtracking, tokens known by their hash alone.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
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
    expect(directory.byToken('s3cret')).toEqual({ name: 'ann', via: 'token' })
    expect(directory.byPeer('12D3x')).toEqual({ name: 'ann', via: 'peer' })
  })
  test('anything else proves nothing', () => {
    expect(directory.byToken('S3cret')).toBeUndefined()
    expect(directory.byToken(tokenHash('s3cret'))).toBeUndefined()
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
