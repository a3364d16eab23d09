// Every way in which a plan does not come to its end.
import { faults } from '../../kernel/fault.ts'

export const fault = faults('steps', {
  busy: (d: { plan: string; folder: string }) => ({
    kind: 'conflict',
    message: `another process carries out "${d.plan}" in ${d.folder}`,
    hint: 'wait for it to end, then try again',
  }),
  journal_damaged: (d: { path: string; problem: string }) => ({
    kind: 'config',
    message: `the journal ${d.path} of an unfinished plan cannot be understood: ${d.problem}`,
    hint: 'look at what was done so far; remove the file to forget the plan',
  }),
  other_plan: (d: { path: string; found: readonly string[]; wanted: readonly string[] }) => ({
    kind: 'conflict',
    message: `the journal ${d.path} is of a plan with other steps (${d.found.join(', ')}) than this version has (${d.wanted.join(', ')})`,
    hint: 'let the version that began it end it; or remove the file to forget the plan',
  }),
  not_proved: (d: { plan: string; step: string }) => ({
    kind: 'unavailable',
    message: `"${d.plan}": the step "${d.step}" was carried out, but nothing shows that it worked`,
    hint: 'try again: the plan goes on where it stopped',
  }),
  undone: (d: { plan: string; step: string; problem: string }) => ({
    kind: 'unavailable',
    message: `"${d.plan}" failed at the step "${d.step}", and what was done before it is undone: ${d.problem}`,
  }),
  stuck: (d: { plan: string; step: string; problem: string }) => ({
    kind: 'unavailable',
    message: `"${d.plan}" stopped at the step "${d.step}": ${d.problem}`,
    hint: 'mend that and try again: the plan goes on where it stopped',
  }),
})
