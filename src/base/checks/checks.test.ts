// Proves on tiny checks: the order, what is not asked, time-outs, faults, and the exit code.
import { expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { faults } from '../../kernel/fault.ts'
import { type Check, type Finding, bad, good, unknown } from './check.ts'
import { examine } from './examine.ts'
import { exitCodeOf, findingsText } from './report.ts'

const fault = faults('test', { broken: () => ({ kind: 'missing', message: 'it is gone', hint: 'make it' }) })
const plain = { bold: String, dim: String, good: String, bad: String }

function ask(checks: Record<string, Partial<Check<undefined>>>, signal = new AbortController().signal): Promise<readonly Finding[]> {
  const named = Object.entries(checks).map(([name, rest]) => ({ name, check: { title: name, run: async () => [good('yes')], ...rest } }))
  return examine(named, undefined, { clock, signal })
}

const told = (findings: readonly Finding[]): string[] => findings.map(({ name, verdict }) => `${name} ${verdict}`)

test('by name, but after those that a check names; what rests on something bad is not asked, and neither is what rests on that', async () => {
  const findings = await ask({
    a: { needs: ['c'] },
    b: { after: ['d'] },
    c: { needs: ['d'] },
    d: { run: async () => [good('one'), bad('other', 'mend it', 'x')] },
  })
  expect(told(findings)).toEqual(['d good', 'd bad', 'c unknown', 'a unknown', 'b good'])
  expect(findings[3]!.evidence).toBe('not asked: first d must be good')
  expect(exitCodeOf(findings)).toBe(3)
})

test('what is unknown by itself, or says nothing, does not hold up what rests on it', async () => {
  const findings = await ask({ a: { run: async () => [unknown('who knows')] }, b: { run: async () => [] }, c: { needs: ['a', 'b'] } })
  expect(told(findings)).toEqual(['a unknown', 'c good'])
  expect(exitCodeOf(findings)).toBe(3)
})

test('a fault is a bad finding with its hint; a defect is unknown; neither ends the others', async () => {
  const findings = await ask({
    a: { run: () => Promise.reject(fault.broken({})) },
    b: { run: () => Promise.reject(new TypeError('oops')) },
    c: {},
  })
  expect(findings[0]).toEqual({ name: 'a', verdict: 'bad', evidence: 'it is gone', remedy: 'make it' })
  expect(findings[1]).toMatchObject({ verdict: 'unknown', evidence: 'unexpected: oops' })
  expect(told(findings)[2]).toBe('c good')
})

test('a check that does not end is left behind, told so, and not rested on', async () => {
  let isTold = false
  const findings = await ask({
    a: {
      timeoutMs: 20,
      run: (_, signal) => {
        signal.addEventListener('abort', () => {
          isTold = true
        })
        return new Promise(() => {})
      },
    },
    b: { needs: ['a'] },
  })
  expect(told(findings)).toEqual(['a unknown', 'b unknown'])
  expect(findings[0]!.evidence).toBe('no answer within 0.02 s')
  expect(isTold).toBe(true)
})

test('who stops the examination waits for no check', async () => {
  const stop = new AbortController()
  const asked = ask({ a: { run: () => new Promise(() => {}) } }, stop.signal)
  stop.abort(new Error('enough'))
  await expect(asked).rejects.toThrow('enough')
})

test('a name that no check has, and checks that wait for each other, are defects', async () => {
  await expect(ask({ a: { needs: ['z'] } })).rejects.toThrow('no check z')
  await expect(ask({ a: { needs: ['b'] }, b: { after: ['a'] } })).rejects.toThrow('wait for each other: a, b, a')
})

test('all good is 0; the table shows evidence, and the remedy below it', async () => {
  const findings = await ask({ a: {}, long: { run: async () => [good('yes', 'here')] } })
  expect(exitCodeOf(findings)).toBe(0)
  expect(findingsText([...findings, { name: 'b', ...bad('no', 'fairlead up') }], plain).split('\n')).toEqual([
    'VERDICT  CHECK  EVIDENCE',
    'good     a      yes',
    'good     long   here: yes',
    'bad      b      no',
    '                → fairlead up',
    '',
    '2 good, 1 bad, 0 unknown',
  ])
})
