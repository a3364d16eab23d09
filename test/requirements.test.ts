// Holds the lists of requirements to the runbooks they were taken from, and our pages to the lists.
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runbooks } from './requirements.ts'
import type { Requirement } from './requirements/requirement.ts'
import { stepsOf } from './script/document.ts'

const root = resolve(import.meta.dirname, '..')
const originals = resolve(root, '../shared/runbooks')

describe.each(runbooks)('$file', ({ file, requirements }) => {
  test('each requirement has an id of its own, and a step of our page that proves it; no step proves what is not asked', () => {
    const ids = requirements.map(({ id }) => id)
    expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([])
    const proved = new Set(stepsOf(readFileSync(join(root, 'docs/runbooks', file), 'utf8')).flatMap(({ proves }) => proves))
    expect({ unproved: ids.filter((id) => !proved.has(id)), unknown: [...proved].filter((id) => !ids.includes(id)) }).toEqual({
      unproved: [],
      unknown: [],
    })
  })

  test('each quote stands on its line of the runbook, and nothing that a person is told there is left out', ({ skip }) => {
    const path = join(originals, file)
    if (!existsSync(path)) skip(`the runbook as it was given is not at ../shared/runbooks/${file}`)
    const lines = readFileSync(path, 'utf8').split('\n')
    const strayed = requirements.filter(({ line, quote }) => !(lines[line - 1] ?? '').includes(quote))
    expect(strayed.map(({ line, quote }) => `${line}: ${quote}`)).toEqual([])
    expect(uncovered(lines, requirements)).toEqual([])
  })
})

test('what is left out is found', () => {
  const text = [
    '# Title',
    '',
    '1. **Do**: `one` and `two`',
    '   ```bash',
    '   # why',
    '   three --four <FIVE> \\',
    '',
    '   ```',
    'Promise.',
    '---',
  ]
  const asks = (...quotes: [line: number, quote: string][]): Requirement[] =>
    quotes.map(([line, quote]) => ({ id: `${line}`, line, quote, holds: '' }))
  const all = asks([3, '**Do**: `one`'], [3, '`two`'], [5, '# why'], [6, 'three --four <FIVE> \\'], [9, 'Promise.'])
  expect(uncovered(text, all)).toEqual([])
  const found = all.map((_, at) => uncovered(text, all.toSpliced(at, 1)))
  expect(found).toEqual([['3: `one`'], ['3: `two`'], ['5: # why'], ['6: three --four <FIVE> \\'], ['9: Promise.']])
  expect(uncovered(text, all.toSpliced(3, 1, ...asks([6, 'three'])))).toEqual(['6: --four <FIVE> \\'])
})

/** What no quote covers: words in code blocks and `code` in the text, and lines of the text of which nothing at all is quoted. Headings only lead there. */
function uncovered(lines: readonly string[], requirements: readonly Requirement[]): string[] {
  let isCode = false
  return lines.flatMap((text, at) => {
    const quotes = requirements.filter(({ line }) => line === at + 1).map(({ quote }) => quote)
    const isFence = text.trimStart().startsWith('```')
    if (isFence) isCode = !isCode
    if (isFence || (!isCode && /^(?:#.*|-+|\|[-|]+\||\*\*Steps\*\*:|)$/.test(text.trim()))) return []
    const left = quotes.reduce((rest, quote) => rest.replace(quote, ' '), text).trim()
    const missing = isCode ? (/\w/.test(left) ? [left] : []) : (left.match(/`[^`]+`/g) ?? (quotes.length === 0 ? [left] : []))
    return missing.map((words) => `${at + 1}: ${words}`)
  })
}
