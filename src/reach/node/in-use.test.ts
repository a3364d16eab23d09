// Heartbeats are no use; calls are.
import { expect, test } from 'vitest'
import { inUse } from './in-use.ts'

test('more than a kibibyte a second since the last look; looks close together see the same', () => {
  const now = { ms: 0, bytes: 5_000 }
  const isInUse = inUse({ clock: { mono: () => now.ms }, countBytes: () => now.bytes })
  const after = (ms: number, bytes: number): boolean => {
    now.ms += ms
    now.bytes += bytes
    return isInUse()
  }
  expect(after(1_000, 900)).toBe(false)
  expect(after(250, 900)).toBe(true)
  expect(after(10, 0)).toBe(true)
  expect(after(250, 40)).toBe(false)
  expect(after(10, 1e9)).toBe(false)
  expect(after(250, 0)).toBe(true)
})
