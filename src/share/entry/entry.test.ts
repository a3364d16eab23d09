// An entry is what its origin signed for its key and group, within bounds; anything else is refused, and told why.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Secret } from '../../kernel/secret.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { maxTtlMs } from '../request/freshness.ts'
import { type Entry, maxBodyBytes, maxSealedBytes, open, seal } from './entry.ts'
import { aloneGroup, groupOf } from './group.ts'

const group = aloneGroup(new Uint8Array(32).fill(1))
const other = aloneGroup(new Uint8Array(32).fill(2))
const identity = createIdentity(new Uint8Array(32).fill(3))
const nowMs = 1_800_000_000_000
const entry = (more: Partial<Entry> = {}): Entry => ({
  key: 'k',
  atMs: nowMs - 5,
  ttlMs: 60_000,
  asker: 'a',
  answer: { status: 200, headers: [['ETag', '"1"']], body: Buffer.from('{"private":true}') },
  ...more,
})

test('what was sealed is opened as it was, and nothing of it can be read without the key', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 300 }),
      fc.array(fc.tuple(fc.stringMatching(/^X-[\w!#$%&'*+.^`|~-]{1,9}$/), fc.stringMatching(/^[\t -~\x80-\xff]*$/)), { maxLength: 3 }),
      fc.nat({ max: maxTtlMs }),
      async (body, headers, ttlMs) => {
        const given = entry({ ttlMs, answer: { status: 200, headers, body } })
        const opened = open(await seal(given, group, identity), 'k', group, nowMs)
        expect(opened).toMatchObject({ is: 'entry', origin: identity.peerId, entry: { key: 'k', atMs: nowMs - 5, ttlMs, asker: 'a' } })
        if (opened.is !== 'entry') return
        expect(Buffer.compare(opened.entry.answer.body, body)).toBe(0)
        expect(opened.entry.answer.headers).toEqual(headers)
      },
    ),
    { numRuns: 30 },
  )
  const sealed = Buffer.from(await seal(entry(), group, identity))
  expect(sealed.includes('private')).toBe(false)
  expect(sealed.includes('ETag')).toBe(false)
})

test('every byte that is changed, and every cut, is refused', async () => {
  const sealed = Buffer.from(await seal(entry(), group, identity))
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed)
    changed[at]! ^= 1
    expect(open(changed, 'k', group, nowMs).is, `byte ${at}`).toBe('refused')
    expect(open(sealed.subarray(0, at), 'k', group, nowMs).is, `cut at ${at}`).toBe('refused')
  }
  expect(open(Buffer.concat([sealed, Buffer.from('x')]), 'k', group, nowMs).is).toBe('refused')
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => open(bytes, 'k', group, nowMs).is === 'refused'))
})

test('of another key, of another group, from the future, too large: each is told', async () => {
  const why = async (given: Entry, key = 'k', by = group) => {
    const opened = open(await seal(given, by, identity), key, group, nowMs)
    return opened.is === 'refused' ? opened.why : opened.is
  }
  expect(await why(entry(), 'other')).toBe('of another key')
  expect(await why(entry(), 'k', other)).toBe('sealed for another group')
  expect(await why(entry({ atMs: nowMs + 61_000 }))).toBe('from the future')
  expect(open(new Uint8Array(maxSealedBytes + 1), 'k', group, nowMs)).toEqual({ is: 'refused', why: 'too large' })
})

test('what no cache keeps, or no server can say, is refused although it is sealed and signed as it should be', async () => {
  const good = entry().answer
  const wrong: readonly Partial<Entry['answer']>[] = [
    { status: 403 },
    { status: 1e9 },
    { body: new Uint8Array(maxBodyBytes + 1) },
    { headers: [['x', 'a\r\nb: c']] },
    { headers: [['x y', 'a']] },
    { headers: [['', 'a']] },
    { headers: [['x', 'š']] },
    { headers: [['Set-Cookie', 'a=b']] },
    { headers: [['Transfer-Encoding', 'chunked']] },
    { headers: [['x']] as unknown as [string, string][] },
    { headers: 5 as unknown as [] },
  ]
  for (const [at, more] of wrong.entries()) {
    const sealed = await seal(entry({ answer: { ...good, ...more } }), group, identity)
    expect(open(sealed, 'k', group, nowMs), `the one at ${at}`).toEqual({ is: 'refused', why: 'malformed' })
  }
  const most = await seal(entry({ answer: { ...good, body: new Uint8Array(maxBodyBytes) } }), group, identity)
  expect(open(most, 'k', group, nowMs).is).toBe('entry')
})

test('a clock that is a little ahead gains nothing, and a time is capped', async () => {
  const opened = open(await seal(entry({ atMs: nowMs + 30_000, ttlMs: 10 * maxTtlMs }), group, identity), 'k', group, nowMs)
  expect(opened).toMatchObject({ is: 'entry', entry: { atMs: nowMs, ttlMs: maxTtlMs } })
})

test('who knows the secret but signs with a key that is not of the origin is refused', async () => {
  const sealed = Buffer.from(await seal(entry(), group, identity))
  const foreign = createIdentity(new Uint8Array(32).fill(4))
  const body = sealed.subarray(0, -64)
  const forged = Buffer.concat([body, await foreign.sign(body)])
  expect(open(forged, 'k', group, nowMs)).toEqual({ is: 'refused', why: 'not signed by its origin' })
})

test('the keys of a group follow from its secret and its name, whose case does not count', async () => {
  const [one, same, elsewhere, another] = await Promise.all([
    groupOf(new Secret('s'), 'O/R'),
    groupOf(new Secret('s'), 'o/r'),
    groupOf(new Secret('s'), 'o/x'),
    groupOf(new Secret('t'), 'o/r'),
  ])
  expect(same).toEqual(one)
  expect(new Set([one, elsewhere, another].map(({ keyId }) => keyId)).size).toBe(3)
  expect(Buffer.from(one.sealKey).equals(Buffer.from(one.nameKey))).toBe(false)
})
