// The screen of `fairlead status`: what is wrong has its remedy below it, and nothing that came from outside can steer the terminal.
import { expect, test } from 'vitest'
import type { Status } from '../../base/checks/status.ts'
import { statusText } from './text.ts'

const plain = { bold: (text: string) => text, dim: (text: string) => text, good: (text: string) => text, bad: (text: string) => text }
const status: Status = {
  at: Date.UTC(2026, 10, 30, 12),
  machine: 'rift',
  version: '1.2.3',
  standing: 'bad',
  sections: [
    { name: 'gate', title: 'Gate', standing: 'good', lines: [{ name: 'gate', standing: 'good', text: 'well' }] },
    {
      name: 'run',
      title: 'Services',
      standing: 'bad',
      lines: [{ name: 'service \u001b[2Jweb\u202e', standing: 'bad', text: 'gone\nnothing is wrong', remedy: 'fairlead run deploy web' }],
    },
    {
      name: 'share',
      title: 'Cache',
      standing: 'off',
      lines: [{ name: 'cache', standing: 'off', text: 'it does not run', remedy: 'fairlead share proxy' }],
    },
  ],
  events: [{ at: Date.UTC(2026, 10, 30, 11), capability: 'gate', about: 'ann', text: 'refused: rm\u0007 at files' }],
}

test('a line for each thing, marked, with what to do below it', () => {
  expect(statusText(status, plain)).toBe(`rift  fairlead 1.2.3, 2026-11-30 12:00:00Z

Gate
  ✓ gate                          well

Services
  ✗ service \\u{1b}[2Jweb\\u{202e}  gone nothing is wrong
                                  → fairlead run deploy web

Cache
  · cache                         it does not run
                                  → fairlead share proxy

Lately
  2026-11-30 11:00:00Z  gate  ann: refused: rm\\u{7} at files

1 thing is wrong`)
})

test('all that is well is said in one word, and a machine where nothing runs is told how to begin', () => {
  const good: Status = { ...status, standing: 'good', sections: status.sections.slice(0, 1), events: [] }
  expect(statusText(good, plain)).toMatch(/nothing is wrong$/)
  expect(statusText({ ...good, standing: 'off', sections: [] }, plain)).toMatch(/nothing runs here: fairlead up$/)
})
