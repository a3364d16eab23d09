// Each attack that we were given, and each advisory, has a test with its number or id in the name; none gets lost.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { advisories, attacks } from './attacks.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Texts in a test's source that begin as such a name must, see `attacks`. */
function namesOf(source: string): string[] {
  return [...source.matchAll(/(['"`])((?:attacks? [\d, ]+|advisories [^:'"`]+): (?:(?!\1).)*)\1/g)].map(([, , name]) => name!)
}

const names = ['src', 'test'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && !path.includes('node_modules'))
    .flatMap((path) => namesOf(readFileSync(join(root, folder, path), 'utf8'))),
)
const numbers = new Set(names.flatMap((name) => /^attacks? ([\d, ]+):/.exec(name)?.[1]?.split(', ').map(Number) ?? []))

test.each(Object.entries(attacks))('number %s has a test, or a reason why not yet', (number, { what, awaited }) => {
  expect([what, numbers.has(Number(number))]).toEqual([what, awaited === undefined])
})

test.each(Object.entries(advisories))('%s has a test, or a reason why not yet', (id, { what, awaited }) => {
  expect([what, names.some((name) => name.includes(id))]).toEqual([what, awaited === undefined])
})

test('no test names an attack that is not in the table', () => {
  expect(Object.keys(attacks).map(Number)).toEqual(Array.from({ length: 32 }, (_, at) => at + 1))
  for (const number of numbers) expect(attacks).toHaveProperty(String(number))
})
