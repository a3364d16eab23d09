// The journal of a plan: one small file that says how far it is, replaced as a whole before and after each step, and removed at the end.
import { join } from 'node:path'
import { readText, removeFile, statOf, syncFolder, writeWhole } from '../../kernel/file.ts'
import { fault } from './faults.ts'

/** `doing` and `undoing` are written before the deed: after a stop it may have happened or not. */
export const states = ['waiting', 'doing', 'done', 'undoing', 'undone'] as const
export type StepState = (typeof states)[number]

export type Journal<Input> = {
  /** What the plan was begun with: JSON, and no secret. */
  readonly input: Input
  readonly direction: 'forward' | 'back'
  readonly steps: readonly { readonly name: string; readonly state: StepState }[]
}

const version = 1

/** The journal's place: `<plan>.plan.json` in the folder. */
export function journalPath(folder: string, plan: string): string {
  return join(folder, `${plan}.plan.json`)
}

/** Whether a plan was begun that has not come to its end. */
export function hasUnfinished(folder: string, plan: string): boolean {
  return statOf(journalPath(folder, plan)) !== undefined
}

/** What is recorded of an unfinished plan, or undefined when there is none. Fault `steps.journal_damaged`. */
export function readJournal<Input>(folder: string, plan: string): Journal<Input> | undefined {
  const path = journalPath(folder, plan)
  const text = readText(path)
  if (text === undefined) return undefined
  let found: (Partial<Journal<Input>> & { journal?: unknown }) | null
  try {
    found = JSON.parse(text) as Partial<Journal<Input>> | null
  } catch (error) {
    throw fault.journal_damaged({ path, problem: 'it is no JSON' }, error)
  }
  const isStep = (step: unknown): boolean =>
    typeof step === 'object' && step !== null && 'name' in step && 'state' in step && states.includes(step.state as StepState)
  const isWhole =
    found?.journal === version &&
    found.input !== undefined &&
    (found.direction === 'forward' || found.direction === 'back') &&
    Array.isArray(found.steps) &&
    found.steps.every(isStep)
  if (!isWhole) throw fault.journal_damaged({ path, problem: 'a part is missing, or it is of another version' })
  const { input, direction, steps } = found as Journal<Input>
  return { input, direction, steps }
}

/** On the disk when it returns, power loss included. */
export function writeJournal<Input>(folder: string, plan: string, journal: Journal<Input>): void {
  writeWhole(journalPath(folder, plan), `${JSON.stringify({ journal: version, ...journal }, undefined, 2)}\n`)
}

/** The plan is over: nothing is left to resume. */
export function removeJournal(folder: string, plan: string): void {
  removeFile(journalPath(folder, plan))
  syncFolder(folder)
}
