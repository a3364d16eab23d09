// Ids: how long they are, and that a command takes none of them for a flag.
import { expect, test } from 'vitest'
import { randomId } from './random.ts'

test('an id is as long as its bytes ask for, and never begins like a flag', () => {
  const ids = Array.from({ length: 2_000 }, () => randomId(6))
  expect(ids.filter((id) => !/^[A-Za-z0-9_][A-Za-z0-9_-]{7}$/.test(id))).toEqual([])
  expect(new Set(ids).size).toBe(ids.length)
  expect(randomId()).toHaveLength(24)
})
