// The doctrine: every check of checks/, in their order, and what is made of their findings.
import { type ExamineNeeds, examine } from '../../base/checks/examine.ts'
import type { Finding, NamedCheck } from '../../base/checks/check.ts'
import type { Examination } from '../examination.ts'

export type DoctrineFailure = {
  readonly check: string
  readonly verdict: string
  readonly about?: string
  readonly evidence: string
  readonly remedy?: string
}

/** Asks everything. */
export function doctrineOf(
  { checks, examination }: { readonly checks: readonly NamedCheck<Examination>[]; readonly examination: Examination },
  needs: ExamineNeeds,
): Promise<readonly Finding[]> {
  return examine(checks, examination, needs)
}

/** All that is not good: what could not be told is no success. */
export function failuresIn(findings: readonly Finding[]): readonly DoctrineFailure[] {
  return findings.filter(({ verdict }) => verdict !== 'good').map(({ name: check, ...rest }) => ({ check, ...rest }))
}

/** 0: all is good. 1: something is bad. 3: nothing is bad, but something could not be told. */
export function doctrineExitCode(findings: readonly Finding[]): number {
  if (findings.some(({ verdict }) => verdict === 'bad')) return 1
  return findings.some(({ verdict }) => verdict === 'unknown') ? 3 : 0
}
