// A plan is a list of steps that are recorded before they start and after they are proved, so that a stop at any moment, SIGKILL and power loss included, is
// resumed or undone on return, with each effect there exactly once or not at all.
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { type FolderLock, lockFolder } from '../store/lock.ts'
import { fault } from './faults.ts'
import { type Journal, type StepState, hasUnfinished, readJournal, removeJournal, writeJournal } from './journal.ts'

/** One deed and its proof. A stop may come between the deed and its record: `isDone` then decides, so it looks at the world and at nothing we noted. */
export interface Step {
  readonly name: string
  /** Whether the world is as `do` leaves it. Asked before `do`, which is then left out, and after it, when it must be so. */
  isDone(): boolean | Promise<boolean>
  /** Called only when `isDone` said no. Whatever part of it an earlier stop left is its own to replace. */
  do(): void | Promise<void>
  /** Takes back what is there of the deed, all, part or nothing of it. Absent: once this step was begun there is no way back. */
  undo?(): void | Promise<void>
}

export type PlanSettings<Input> = {
  /** Holds the journal `<name>.plan.json` and the lock `<name>.lock`: one process at a time. */
  readonly folder: string
  readonly name: string
  /** What a new plan is begun with: JSON, and no secret. An unfinished plan goes on with its own. */
  readonly begin: () => Input | Promise<Input>
  readonly steps: (input: Input) => readonly Step[]
  /** What becomes of an unfinished plan: gone on with by default; `'undo'` takes it back, if no step was begun that has no way back. */
  readonly onReturn?: 'resume' | 'undo'
  /** Once it is aborted, a step that fails leaves the plan as it is, to be gone on with by the next call: for steps that wait for somebody else. */
  readonly signal?: AbortSignal
  /** Removes what the plan keeps beside its journal: called, while the lock is held, at the end of each call that leaves nothing unfinished. */
  readonly tidy?: () => void
}

export type PlanEnd<Input> = {
  readonly outcome: 'done' | 'undone'
  readonly input: Input
  /** It was begun in an earlier call. */
  readonly isResumed: boolean
}

/**
 * Carries out the plan, or ends the unfinished one of that name. A step that fails takes back the ones before it (fault `steps.undone`); where there is no
 * way back, or taking back fails, all stays as it is, to be gone on with by the next call (faults `steps.stuck`, `steps.not_proved`). Others: `steps.busy`,
 * `steps.journal_damaged`, `steps.other_plan`.
 */
export async function carryOut<Input>(needs: { log: Log }, settings: PlanSettings<Input>): Promise<PlanEnd<Input>> {
  const { folder, name, tidy } = settings
  using _ = takeLock(folder, name)
  try {
    return await beginOrGoOn(needs, settings)
  } finally {
    if (!hasUnfinished(folder, name)) tidy?.()
  }
}

async function beginOrGoOn<Input>({ log }: { log: Log }, settings: PlanSettings<Input>): Promise<PlanEnd<Input>> {
  const { folder, name, begin, onReturn = 'resume' } = settings
  const found = readJournal<Input>(folder, name)
  const input = found ? found.input : await begin()
  const steps = settings.steps(input)
  const run = new Run({ log, folder, name }, steps, found ?? fresh(input, steps))
  const isResumed = found !== undefined
  if (!found) run.record()
  else if (onReturn === 'undo' && run.hasWayBack()) run.turn()
  if (run.direction === 'forward') {
    const failed = await run.forward()
    if (!failed) return run.end({ outcome: 'done', input, isResumed })
    const { step, error } = failed
    if (settings.signal?.aborted) throw error
    const { code, message } = asFault(error)
    if (!run.hasWayBack()) throw code === 'steps.not_proved' ? error : fault.stuck({ plan: name, step, problem: message }, error)
    run.turn()
    await run.back()
    run.end({ outcome: 'undone', input, isResumed })
    throw fault.undone({ plan: name, step, problem: message }, error)
  }
  await run.back()
  return run.end({ outcome: 'undone', input, isResumed })
}

function takeLock(folder: string, name: string): FolderLock {
  try {
    return lockFolder(folder, name)
  } catch (error) {
    throw asFault(error).code === 'store.locked' ? fault.busy({ plan: name, folder }, error) : error
  }
}

function fresh<Input>(input: Input, steps: readonly Step[]): Journal<Input> {
  return { input, direction: 'forward', steps: steps.map(({ name }) => ({ name, state: 'waiting' })) }
}

class Run<Input> {
  readonly #place: { readonly log: Log; readonly folder: string; readonly name: string }
  readonly #steps: readonly Step[]
  #journal: Journal<Input>

  constructor(
    place: { readonly log: Log; readonly folder: string; readonly name: string },
    steps: readonly Step[],
    journal: Journal<Input>,
  ) {
    const [found, wanted] = [journal.steps.map(({ name }) => name), steps.map(({ name }) => name)]
    if (found.join('\n') !== wanted.join('\n')) {
      throw fault.other_plan({ path: `${place.name}.plan.json`, found, wanted })
    }
    this.#place = place
    this.#steps = steps
    this.#journal = journal
  }

  get direction(): Journal<Input>['direction'] {
    return this.#journal.direction
  }

  record(): void {
    writeJournal(this.#place.folder, this.#place.name, this.#journal)
  }

  #set(at: number, state: StepState): void {
    this.#journal = { ...this.#journal, steps: this.#journal.steps.map((step, i) => (i === at ? { ...step, state } : step)) }
    this.record()
    const { log, name } = this.#place
    log.debug('steps.step', { plan: name, step: this.#steps[at]!.name, state })
  }

  #state(at: number): StepState {
    return this.#journal.steps[at]!.state
  }

  /** Whether all that was begun can be taken back. */
  hasWayBack(): boolean {
    return this.#steps.every(({ undo }, at) => undo !== undefined || this.#state(at) === 'waiting' || this.#state(at) === 'undone')
  }

  /** From here on only back, whatever stops come. */
  turn(): void {
    this.#journal = { ...this.#journal, direction: 'back' }
    this.record()
  }

  /** Resolves with the step that failed, if one did. */
  async forward(): Promise<{ readonly step: string; readonly error: unknown } | undefined> {
    const { name: plan } = this.#place
    for (const [at, step] of this.#steps.entries()) {
      if (this.#state(at) === 'done') continue
      try {
        this.#set(at, 'doing')
        if (!(await step.isDone())) {
          await step.do()
          if (!(await step.isDone())) throw fault.not_proved({ plan, step: step.name })
        }
        this.#set(at, 'done')
      } catch (error) {
        return { step: step.name, error }
      }
    }
    return undefined
  }

  /** Last step first. */
  async back(): Promise<void> {
    for (const [at, step] of [...this.#steps.entries()].reverse()) {
      if (this.#state(at) === 'waiting' || this.#state(at) === 'undone') continue
      try {
        this.#set(at, 'undoing')
        await step.undo!()
        this.#set(at, 'undone')
      } catch (error) {
        throw fault.stuck({ plan: this.#place.name, step: step.name, problem: asFault(error).message }, error)
      }
    }
  }

  end(end: PlanEnd<Input>): PlanEnd<Input> {
    removeJournal(this.#place.folder, this.#place.name)
    this.#place.log.debug('steps.end', { plan: this.#place.name, outcome: end.outcome })
    return end
  }
}
