// What this machine knows of keys: kept over restarts, shared by processes, worth nothing when forged; and lists of authorized peers that go by it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { type AuthorizedPeers, authorizedPeers } from '../serving/authorized-peers.ts'
import { knownStatements } from './known-statements.ts'
import { openStatement, signRevocation, signRotation } from './statement.ts'

const cleanup: (() => void)[] = []
afterEach(() => {
  for (const undo of cleanup.splice(0)) undo()
})
function newPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-statements-'))
  cleanup.push(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'statements.json')
}
const [old, next, thief] = [createIdentity(), createIdentity(), createIdentity()]
const rotation = openStatement(await signRotation(old, next, 1))
const revocation = openStatement(await signRevocation(old, 2))

test('is there for another process, and changes only when something is new', async () => {
  const path = newPath()
  const [ours, theirs] = [knownStatements(path), knownStatements(path)]
  expect(theirs.standing(old.peerId)).toEqual({ is: 'valid' })
  expect(ours.add([rotation])).toBe(true)
  expect(theirs.standing(old.peerId)).toMatchObject({ is: 'rotated', to: next.peerId })
  const before = theirs.mark()
  expect(theirs.add([rotation, openStatement(await signRotation(old, thief, 9))])).toBe(false)
  expect(ours.mark()).toBe(before)
  expect(theirs.add([revocation])).toBe(true)
  expect(ours.of(old.peerId)).toMatchObject({ says: 'revoked' })
})

test('a file that was damaged, or written by somebody else, tells nothing that was not signed', () => {
  const path = newPath()
  knownStatements(path).add([rotation])
  const good = readFileSync(path, 'utf8')
  for (const text of [
    '',
    'nonsense',
    'null',
    '[]',
    '{"statements":5}',
    '{"statements":[5]}',
    good.replace(/[A-Za-z0-9_-]{8}"/, 'AAAAAAAA"'),
  ]) {
    writeFileSync(path, text)
    expect([text, knownStatements(path).standing(old.peerId)]).toEqual([text, { is: 'valid' }])
  }
})

test('of more than 1,024 keys it forgets those that were only rotated, oldest first', { timeout: 120_000 }, async () => {
  const path = newPath()
  const known = knownStatements(path)
  known.add([revocation])
  const keys = Array.from({ length: 1_030 }, () => createIdentity())
  known.add(await Promise.all(keys.map(async (key) => openStatement(await signRotation(key, next, 1)))))
  expect([keys[0]!, keys.at(-1)!, old].map(({ peerId }) => known.standing(peerId).is)).toEqual(['valid', 'rotated', 'revoked'])
  expect((JSON.parse(readFileSync(path, 'utf8')) as { statements: unknown[] }).statements).toHaveLength(1_024)
})

describe('a list of authorized peers', () => {
  const listOf = (path: string, followRotations: boolean): AuthorizedPeers => {
    const list = authorizedPeers({ clock, log, statements: knownStatements(path) }, { ids: [old.peerId], followRotations })
    cleanup.push(() => list.close())
    return list
  }
  const allowed = (list: AuthorizedPeers): boolean[] => [old, next, thief].map(({ peerId }) => list.allows(peerId))
  const patience = { timeout: 20_000 }

  test('that follows lets the new key in instead of the old one; one that does not stays as it was', async () => {
    const path = newPath()
    const [following, strict] = [listOf(path, true), listOf(path, false)]
    let changes = 0
    following.onChange(() => changes++)
    knownStatements(path).add([rotation])
    await expect.poll(() => allowed(following), patience).toEqual([false, true, false])
    expect(changes).toBe(1)
    expect(allowed(strict)).toEqual([true, false, false])
    knownStatements(path).add([openStatement(await signRotation(next, thief, 2))])
    await expect.poll(() => allowed(following), patience).toEqual([false, false, true])
    expect(following.listed()).toEqual([old.peerId])
  })

  test('says by which id it knows a peer, and follows those that a file says, whatever the rest', async () => {
    const path = newPath()
    const file = join(dirname(path), 'peers')
    const [first, second] = [createIdentity(), createIdentity()]
    writeFileSync(file, `${first.peerId} follow-rotations # ours\n${old.peerId}\n`)
    const list = authorizedPeers({ clock, log, statements: knownStatements(path) }, { ids: [thief.peerId], file })
    cleanup.push(() => list.close())
    expect(list.followed()).toEqual([first.peerId])
    expect([first, second, thief].map(({ peerId }) => list.listedAs(peerId))).toEqual([[first.peerId], [], [thief.peerId]])
    knownStatements(path).add([openStatement(await signRotation(first, second, 1)), rotation])
    expect([first, second, old, next].map(({ peerId }) => list.listedAs(peerId))).toEqual([[], [first.peerId], [old.peerId], []]) // at once
    writeFileSync(file, `${first.peerId} follow\n`)
    expect(() => authorizedPeers({ clock, log, statements: knownStatements(path) }, { ids: [], file })).toThrow(/follow/)
  })

  test('where what is known of keys cannot be read nobody is let in, and nothing hangs', () => {
    const gone = { standing: () => ({ is: 'valid' }) as const, mark: (): string => '' }
    const list = authorizedPeers({ clock, log, statements: gone }, { ids: [old.peerId, next.peerId] })
    cleanup.push(() => list.close())
    list.onChange(() => void list.allows(old.peerId))
    expect(list.allows(old.peerId)).toBe(true)
    const unreadable = (peerId?: string) => {
      if (peerId === old.peerId) return { is: 'valid' } // it fails half-way
      throw new Error('EIO')
    }
    Object.assign(gone, { standing: unreadable, mark: unreadable })
    expect(list.allows(old.peerId)).toBe(false)
  })

  test('lets nobody in by a revoked key, whether it follows or not', async () => {
    const path = newPath()
    knownStatements(path).add([rotation])
    const lists = [listOf(path, true), listOf(path, false)]
    expect(lists.map(allowed)).toEqual([
      [false, true, false],
      [true, false, false],
    ])
    knownStatements(path).add([revocation])
    await expect
      .poll(() => lists.map(allowed), patience)
      .toEqual([
        [false, false, false],
        [false, false, false],
      ])
  })

  test('that does not follow is none the wiser when a key that it never listed is revoked', async () => {
    const path = newPath()
    knownStatements(path).add([rotation, openStatement(await signRevocation(next, 3))])
    expect([listOf(path, true), listOf(path, false)].map(allowed)).toEqual([
      [false, false, false],
      [true, false, false],
    ])
  })
})
