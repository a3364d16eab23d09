// Runs checks one after the other, each after those it names and within its time; what rests on something bad is not asked.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import { type Answer, type Finding, type NamedCheck, bad, unknown } from './check.ts'

const usualTimeoutMs = 10_000

export type ExamineNeeds = { readonly clock: Clock; readonly signal: AbortSignal; readonly onStart?: (title: string) => void }

/** The findings, in the order in which they were made. Never fails because of a check; rejects with the signal's reason when that is aborted. */
export async function examine<Subject>(
  checks: readonly NamedCheck<Subject>[],
  subject: Subject,
  { clock, signal, onStart }: ExamineNeeds,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  /** What is not good to rest on, by check. */
  const stuck = new Map<string, string>()
  for (const { name, check } of inOrder(checks)) {
    signal.throwIfAborted()
    const below = check.needs?.find((needed) => stuck.has(needed))
    if (below !== undefined) {
      findings.push({ name, ...unknown(`not asked: first ${stuck.get(below)} must be good`) })
      stuck.set(name, stuck.get(below)!)
      continue
    }
    onStart?.(check.title)
    const { answers, isLate } = await answersOf({ check, subject, clock, signal })
    if (isLate || answers.some(({ verdict }) => verdict === 'bad')) stuck.set(name, name)
    findings.push(...answers.map((answer) => ({ name, ...answer })))
  }
  return findings
}

type Asked<Subject> = Pick<NamedCheck<Subject>, 'check'> & Pick<ExamineNeeds, 'clock' | 'signal'> & { readonly subject: Subject }
type Answers = { readonly answers: readonly Answer[]; readonly isLate: boolean }

async function answersOf<Subject>({ check, subject, clock, signal }: Asked<Subject>): Promise<Answers> {
  const { timeoutMs = usualTimeoutMs } = check
  const over = new AbortController()
  const inTime = async (): Promise<Answers> => {
    try {
      return { answers: await check.run(subject, AbortSignal.any([signal, over.signal])), isLate: false }
    } catch (error) {
      const { kind, message, hint } = asFault(error)
      return { answers: [kind === 'bug' ? unknown(message, hint) : bad(message, hint)], isLate: kind === 'bug' }
    }
  }
  const late = clock
    .wait(timeoutMs, AbortSignal.any([signal, over.signal]))
    .then((): Answers => ({ answers: [unknown(`no answer within ${timeoutMs / 1000} s`, 'ask again')], isLate: true }))
  late.catch(() => {}) // the check was faster
  try {
    const answers = await Promise.race([inTime(), late])
    signal.throwIfAborted()
    return answers
  } finally {
    over.abort(new Error('the check is over'))
  }
}

/** By name, but for what must come before. A name that no check has, or checks that wait for each other, are a defect. */
function inOrder<Subject>(checks: readonly NamedCheck<Subject>[]): NamedCheck<Subject>[] {
  const byName = new Map(checks.map((named) => [named.name, named]))
  const ordered = new Set<NamedCheck<Subject>>()
  const visit = (name: string, trail: readonly string[]): void => {
    const named = byName.get(name)
    if (!named) throw new Error(`there is no check ${name}, after which ${trail.at(-1)} comes`)
    if (trail.includes(name)) throw new Error(`checks that wait for each other: ${[...trail, name].join(', ')}`)
    if (ordered.has(named)) return
    for (const before of [...(named.check.needs ?? []), ...(named.check.after ?? [])]) visit(before, [...trail, name])
    ordered.add(named)
  }
  for (const name of [...byName.keys()].sort()) visit(name, [])
  return [...ordered]
}
