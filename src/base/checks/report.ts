// How findings are shown to a person, and what they make of the exit code.
import type { Terminal } from '../terminal/terminal.ts'
import type { Finding, Verdict } from './check.ts'

/** A check ran and found something (`kernel/fault.ts` keeps this code free). */
const foundExitCode = 3
const verdictWidth = 'VERDICT'.length

/** 0 when every finding is good, else 3. */
export function exitCodeOf(findings: readonly Finding[]): number {
  return findings.every(({ verdict }) => verdict === 'good') ? 0 : foundExitCode
}

/** A line for each finding, and its remedy below it; then how many there are of each verdict. */
export function findingsText(findings: readonly Finding[], { good, bad, dim, bold }: Terminal['style']): string {
  const paint: Record<Verdict, (text: string) => string> = { good, bad, unknown: dim }
  const width = Math.max('CHECK'.length, ...findings.map(({ name }) => name.length))
  const lineOf = (verdict: string, check: string, evidence: string): string => `${verdict}  ${check.padEnd(width)}  ${evidence}`
  const rows = findings.flatMap(({ name, verdict, about, evidence, remedy }) => {
    const line = lineOf(paint[verdict](verdict.padEnd(verdictWidth)), name, about === undefined ? evidence : `${about}: ${evidence}`)
    const mend = remedy === undefined ? [] : [`${' '.repeat(verdictWidth + width + 4)}→ ${bold(remedy)}`]
    return [line, ...mend]
  })
  const count = (wanted: Verdict): number => findings.filter(({ verdict }) => verdict === wanted).length
  const counts = (['good', 'bad', 'unknown'] as const).map((verdict) => `${count(verdict)} ${verdict}`)
  return [lineOf('VERDICT', 'CHECK', 'EVIDENCE'), ...rows, '', counts.join(', ')].join('\n')
}
