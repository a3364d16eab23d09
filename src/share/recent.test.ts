// Never more bytes than the bound, and who was used longest ago goes first.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRecent } from './recent.ts'

test('whatever is asked of it: never more than the bound, and a key gives what was set last or nothing', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const step = fc.oneof(
    fc.record({ do: fc.constant('set'), key, size: fc.nat({ max: 40 }) }),
    fc.record({ do: fc.constantFrom('get', 'remove'), key, size: fc.constant(0) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const recent = createRecent(100)
      const last = new Map<string, Uint8Array>()
      for (const { do: what, key: name, size } of steps) {
        if (what === 'remove') {
          recent.remove(name)
          last.delete(name)
        } else if (what === 'set') {
          last.set(name, new Uint8Array(size))
          recent.set(name, last.get(name)!)
        }
        const held = [...last].filter(([each, bytes]) => {
          const found = recent.get(each)
          expect([undefined, bytes]).toContain(found)
          return found
        })
        expect(held.reduce((sum, [, bytes]) => sum + bytes.length, 0)).toBeLessThanOrEqual(100)
      }
    }),
  )
})

test('the one that was used longest ago makes room; what is more than a quarter is not taken', () => {
  const recent = createRecent(100)
  for (const key of ['a', 'b', 'c', 'd']) recent.set(key, new Uint8Array(25))
  recent.get('a')
  recent.set('e', new Uint8Array(25))
  expect(['a', 'b', 'c', 'd', 'e'].map((key) => recent.get(key) !== undefined)).toEqual([true, false, true, true, true])
  recent.set('a', new Uint8Array(26))
  expect(recent.get('a')).toBeUndefined()
  recent.clear()
  expect(recent.get('c')).toBeUndefined()
})
