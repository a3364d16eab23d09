// The operator's half of a rotation, as a plan: the new credential is made here, the gate is told its hash, and its holder finds it in a file. When the gate takes it back, the file
// is as it was before.
import { hash } from 'node:crypto'
import { basename, dirname } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import { moveFile, readText, removeFile, writeWhole } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { type PlanEnd, type PlanSettings, type Step, carryOut } from '../../base/steps/plan.ts'
import type { Rotation } from '../api.ts'
import type { GateCalls } from '../client.ts'
import { fault } from '../faults.ts'
import { makeCredential } from './credentials.ts'

export type HandOverNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly gate: Pick<GateCalls, 'rotate-connectors' | 'show-rotation'>
  readonly signal: AbortSignal
  /** Told when the file holds the new one and a holder is waited for. */
  waiting(): void
}

export type HandOverInput = { readonly connectors: readonly string[]; readonly sha256: string; readonly overlapMs: number }

/** The plan's name: it lies beside the file. */
function planOf(file: string): string {
  return `.${basename(file)}.rotation`
}

function hashOf(path: string): string | undefined {
  const text = readText(path)
  return text === undefined ? undefined : hash('sha256', text.replace(/\r?\n$/, ''), 'hex')
}

type Asked = { readonly connectors: readonly string[]; readonly overlapMs: number }

/**
 * Makes a credential for the connectors, or goes on with the one whose handing over was stopped; `file` (0600) holds it at the end. Faults: those of the gate, and of
 * `carryOut`; aborted by `signal`, all stays as it is.
 */
export async function handOver(needs: HandOverNeeds, file: string, asked: Asked): Promise<PlanEnd<HandOverInput>> {
  return carryOut(needs, handOverPlan(needs, file, asked))
}

/** The plan that `handOver` carries out. */
export function handOverPlan(needs: HandOverNeeds, file: string, { connectors, overlapMs }: Asked): PlanSettings<HandOverInput> {
  const pause = new AbortController()
  const signal = AbortSignal.any([needs.signal, pause.signal])
  let isUntold = false
  return {
    folder: dirname(file),
    name: planOf(file),
    begin() {
      isUntold = true
      const made = makeCredential().reveal()
      writeWhole(`${file}.next`, `${made}\n`, 0o600)
      return { connectors, sha256: hash('sha256', made, 'hex'), overlapMs }
    },
    signal,
    steps: (input) => handOverSteps({ ...needs, signal, pause: () => pause.abort(), isUntold }, file, input),
  }
}

/** `pause`: what failed is no reason to take anything back. `isUntold`: the gate cannot know of it yet. */
type StepNeeds = HandOverNeeds & { pause(): void; readonly isUntold: boolean }

type State = Rotation['state']

function handOverSteps(needs: StepNeeds, file: string, { connectors, sha256, overlapMs }: HandOverInput): Step[] {
  const [next, old] = [`${file}.next`, `${file}.old`]
  const state = async (): Promise<State> => (await needs.gate['show-rotation']({ connectors: [...connectors], sha256 })).state
  const patient = (): Promise<State> => patiently(needs, state)
  let { isUntold } = needs
  return [
    {
      name: 'tell the gate its hash',
      isDone: async () => (await (isUntold ? state() : patient())) !== 'unknown',
      async do() {
        isUntold = false
        await patiently(needs, () => needs.gate['rotate-connectors']({ connectors: [...connectors], sha256, overlapMs }))
      },
      undo: () => removeFile(next), // the gate takes it back by itself
    },
    {
      name: 'keep the one before aside',
      isDone: () => readText(file) === undefined || hashOf(file) === sha256 || hashOf(old) === hashOf(file),
      do: () => writeWhole(old, readText(file)!, 0o600),
      undo: () => removeFile(old),
    },
    {
      name: 'put it where its holder looks',
      isDone: () => hashOf(file) === sha256,
      async do() {
        if ((await patient()) === 'undone') throw fault.rotation_unproved({ connectors }) // we were away too long: nobody is to see it
        moveFile(next, file)
      },
      undo() {
        if (hashOf(file) !== sha256) return
        const before = readText(old)
        if (before === undefined) removeFile(file)
        else writeWhole(file, before, 0o600)
      },
    },
    {
      name: 'wait until it is in use',
      isDone: async () => (await patient()) === 'done',
      do: () => untilUsed(needs, connectors, patient),
      undo() {},
    },
    { name: 'drop the one before', isDone: () => readText(old) === undefined, do: () => removeFile(old) },
  ]
}

const pollMs = 250
/** A first credential is in use at once: who waits no longer than this is told nothing. */
const untoldMs = 1_000
const patienceMs = 60_000

async function untilUsed({ clock, waiting, signal }: StepNeeds, connectors: readonly string[], state: () => Promise<State>): Promise<void> {
  let isTold = false
  for (const sinceMs = clock.mono(); ;) {
    const found = await state()
    if (found === 'done') return
    if (found === 'undone' || found === 'unknown') throw fault.rotation_unproved({ connectors })
    if (!isTold && clock.mono() - sinceMs > untoldMs) {
      isTold = true
      waiting()
    }
    await clock.wait(pollMs, signal)
  }
}

/** A gate that is away for a while goes on when it is back, and so do we. Only it can say how the rotation ended: while it is away, nothing is taken back. */
async function patiently<T>({ clock, signal, pause }: StepNeeds, ask: () => Promise<T>): Promise<T> {
  for (const sinceMs = clock.mono(); ;) {
    try {
      return await ask()
    } catch (error) {
      if (asFault(error).code !== 'control.unreachable') throw error
      if (clock.mono() - sinceMs > patienceMs) {
        pause()
        throw error
      }
      await clock.wait(pollMs, signal)
    }
  }
}
