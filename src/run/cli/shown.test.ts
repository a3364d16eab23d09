// What nodes say, for a person: versions, digests, drift without hidden characters, and hints that are said once.
import { expect, test } from 'vitest'
import type { Terminal } from '../../base/terminal/terminal.ts'
import { Fault, type FaultKind } from '../../kernel/fault.ts'
import type { Asked, KnownNode } from './nodes.ts'
import { afterSilence, digestText, driftText, silenceText, stateText, versionText } from './shown.ts'

const silent = (
  name: string,
  kind: FaultKind = 'unavailable',
  hint?: string,
): Asked<never> & { readonly fault: Fault; readonly heardAt: number | undefined } => ({
  node: { name } as KnownNode,
  fault: new Fault('x.y', { kind, message: `${name} is\nout`, ...(hint === undefined ? {} : { hint }) }),
  heardAt: undefined,
})

test('versions and digests', () => {
  expect(['reg:5000/a/web:v1.2', 'web:v1@sha256:0123456789abcdef', 'reg:5000/web@sha256:0123456789abcdef'].map(versionText)).toEqual([
    'v1.2',
    'v1',
    '0123456789ab',
  ])
  expect([digestText(null), digestText(`sha256:${'ab'.repeat(32)}`)]).toEqual(['-', 'abababababab'])
  expect(stateText({ state: 'exited', exitCode: 137, isStale: false })).toBe('exited(137)')
  expect(stateText(null)).toBe('missing')
  const drift = { cause: 'config-changed', field: 'env', desired: '["A=\u001b[2J"]', observed: `sha256:${'ab'.repeat(32)}` }
  expect(driftText(drift)).toBe('config-changed: env is sha256:abababababab, not ["A=\\u{1b}[2J"]')
})

test('a node that refused was heard; each hint is said once, and the worst decides', () => {
  expect(silenceText(0, silent('rift'))).toBe('rift is out; never heard')
  expect(silenceText(0, silent('rift', 'denied'))).toBe('rift is out')
  expect(silenceText(90_000, { ...silent('rift'), heardAt: 0 })).toBe('rift is out; last heard 1 min 30 s ago')
  const notes: string[] = []
  const terminal = { note: (text: string) => void notes.push(text) } as unknown as Terminal
  const many = Array.from({ length: 200 }, (_, n) => silent(`n${n}`, 'unavailable', 'start it'))
  expect(afterSilence(terminal, [...many, silent('rift', 'unauthenticated', 'log in'), silent('tarn')])).toBe(5)
  expect(notes).toEqual(['hint: n0, n1, n2, n3, n4 and 195 more: start it', 'hint: rift: log in'])
  expect(afterSilence(terminal, [{ node: { name: 'good' } as KnownNode, value: 1 }])).toBe(0)
})
