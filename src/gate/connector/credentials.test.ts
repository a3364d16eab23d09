// Proves that there is no moment without a credential that holds, none at which an ended one does, and that the file beside it tells nobody a secret.
import fc from 'fast-check'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { type TestClock, createTestClock } from '../../../test/kit/clock.ts'
import { tokenHash } from '../../base/access/principal.ts'
import { ConnectorCredentialsTable, holdsCredential, makeCredential } from './credentials.ts'
import { isGood, isProved } from './standing.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-credentials-'))
afterAll(() => rmSync(folder, { recursive: true }))

const yearMs = 365 * 86_400_000
const ids = ['a', 'b']
let count = 0

function table(clock: TestClock, windowMs = 1_000 * yearMs, at = join(folder, String(++count))) {
  return new ConnectorCredentialsTable({ clock }, { folder: at, windowsMs: { a: windowMs, b: windowMs } })
}

test('a credential is new each time, known by its mark, and fit for a header', () => {
  const made = Array.from({ length: 50 }, () => makeCredential().reveal())
  expect(new Set(made).size).toBe(50)
  for (const one of made) expect(one).toMatch(/^flc_[A-Za-z0-9_-]{43}$/)
  expect([holdsCredential(`x${made[0]}y`), holdsCredential(made[0]!.slice(0, -1))]).toEqual([true, false])
})

type Deed = readonly ['offer' | 'prove a' | 'prove b' | 'settle' | 'wait' | 'restart', number]
const deed = fc.tuple(fc.constantFrom('offer', 'prove a', 'prove b', 'settle', 'wait', 'restart'), fc.nat(2_000)) as fc.Arbitrary<Deed>

test('G16: whatever comes when, one credential holds at every moment, at most two, and none that had ended', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { maxLength: 40 }), async (deeds) => {
      const clock = createTestClock()
      const at = join(folder, String(++count))
      let credentials = table(clock, undefined, at)
      const all: string[] = ['first']
      credentials.offer(ids, 'first', { untilMs: clock.now() + 100, replaced: [] })
      credentials.promote(ids, 'first')
      const over = new Set<string>()
      for (const [what, ms] of deeds) {
        const { next } = credentials.of('a')
        if (what === 'offer' && !next) {
          all.push(`credential-${all.length}`)
          credentials.offer(ids, all.at(-1)!, { untilMs: clock.now() + 1 + ms, replaced: ids })
        } else if (what.startsWith('prove') && next) credentials.prove(what.slice(-1), next.sha256)
        else if (what === 'settle' && next) {
          // As the plan does it: it may come late, and never before it may.
          if (isProved(credentials.all, next)) credentials.promote(ids, next.sha256)
          else if (clock.now() >= next.untilMs) credentials.withdraw(ids, next.sha256)
        } else if (what === 'wait') await clock.advance(ms)
        else if (what === 'restart') credentials = table(clock, undefined, at)
        for (const id of ids) {
          const good = all.filter((one) => isGood(credentials.standing(id, one)))
          expect(good.length).toBeGreaterThanOrEqual(1)
          expect(good.length).toBeLessThanOrEqual(2)
          for (const one of all) {
            const key = `${id} ${one}`
            if (credentials.standing(id, one).is === 'ended') over.add(key)
            else if (over.has(key)) expect(credentials.standing(id, one).is).toBe('unknown') // so long ago that it is forgotten
          }
        }
      }
    }),
    { numRuns: 60 },
  )
}, 60_000)

test('at the end of the overlap it is decided, whether anybody acts or not', async () => {
  const clock = createTestClock()
  const credentials = table(clock)
  credentials.offer(ids, 'old', { untilMs: clock.now(), replaced: [] })
  credentials.promote(ids, 'old')
  credentials.offer(ids, 'new', { untilMs: clock.now() + 1_000, replaced: ids })
  expect(credentials.prove('a', 'new')).toBe(true)
  expect(credentials.prove('a', 'new')).toBe(false)
  expect(ids.map((id) => ['old', 'new'].map((one) => credentials.standing(id, one).is))).toEqual(ids.map(() => ['current', 'next']))
  await clock.advance(1_000) // b never proved it: the old one stays, for both
  expect(ids.map((id) => ['old', 'new'].map((one) => credentials.standing(id, one).is))).toEqual(ids.map(() => ['current', 'ended']))
  expect(credentials.prove('b', 'new')).toBe(false)
})

test('one that nobody rotated in time is stale', async () => {
  const clock = createTestClock()
  const credentials = table(clock, 48 * 3_600_000)
  credentials.offer(ids, 'one', { untilMs: clock.now(), replaced: [] })
  credentials.promote(ids, 'one')
  await clock.advance(48 * 3_600_000 - 1)
  expect(credentials.servedBy('one')).toEqual(ids)
  await clock.advance(1)
  expect(credentials.servedBy('one')).toEqual([])
  expect(credentials.standing('a', 'one')).toMatchObject({ is: 'ended', why: 'stale' })
})

test('what is kept is a hash, for the owner alone; a damaged file is no empty one', () => {
  const clock = createTestClock()
  const at = join(folder, 'kept')
  const secret = makeCredential().reveal()
  table(clock, yearMs, at).offer(['a'], tokenHash(secret), { untilMs: clock.now() + 1, replaced: [] })
  const path = join(at, 'credentials.json')
  expect(readFileSync(path, 'utf8')).not.toContain(secret)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  for (const damage of ['', '{}', 'null', '{"version":2,"connectors":{}}', '{"version":1,"connectors":{"a":{}}}']) {
    writeFileSync(path, damage)
    expect(() => table(clock, yearMs, at)).toThrow(/cannot be understood/)
  }
})
