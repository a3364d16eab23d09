// Files of users inside containers, which nobody outside may touch but they: a piece of work on them is done by a process of ours that the runtime lets in among them.
import { exec } from '../../kernel/exec.ts'
import { Fault, asFault } from '../../kernel/fault.ts'
import { fault } from '../faults.ts'

/** What can be done there: all that it takes and answers is JSON. Owners have the numbers there that they have inside containers; root is the agent's user. */
export type Work<Input, Result> = { readonly name: string; run(input: Input): Promise<Result> }

/** Faults: those of the work; `run.not_let_in` when that process said nothing to be understood. */
export type AsOwners = <Input, Result>(work: Work<Input, Result>, input: Input) => Promise<Result>

const mostMs = 6 * 3_600_000
const maxAnswerBytes = 256 << 20

/** `argv` runs `answerWork` among them. */
export function createAsOwners(argv: readonly [string, ...string[]], env: Readonly<Record<string, string | undefined>>): AsOwners {
  const named = Object.fromEntries(Object.entries(env).filter((pair): pair is [string, string] => pair[1] !== undefined))
  return async <Input, Result>({ name }: Work<Input, Result>, input: Input): Promise<Result> => {
    const options = { input: JSON.stringify({ name, input }), env: named, cwd: '/', timeoutMs: mostMs, maxBytes: maxAnswerBytes }
    const { stdout, stderr } = await exec(argv, options)
    const { done, fault: failed } = parsed(stdout) as { readonly done?: Result; readonly fault?: ReturnType<Fault['toJSON']> }
    if (failed) throw new Fault(failed.code, failed, failed.details)
    if (done === undefined) throw fault.not_let_in({ reason: stderr.trim().split('\n').at(-1) ?? '' })
    return done
  }
}

/** In that process: does the work that is asked for, and answers in one line, whatever becomes of it. */
export async function answerWork(text: string, works: readonly Work<never, unknown>[]): Promise<string> {
  try {
    const { name, input } = parsed(text) as { readonly name?: string; readonly input?: never }
    const work = works.find((one) => one.name === name)
    if (!work) throw fault.unknown_action({ action: String(name), known: works.map((one) => one.name) })
    return JSON.stringify({ done: (await work.run(input!)) ?? null })
  } catch (error) {
    return JSON.stringify({ fault: asFault(error) })
  }
}

function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

/** Whether that file was refused to us, and perhaps not to its owners. */
export function isDenied(error: unknown): boolean {
  if (!(error instanceof Fault)) return false
  const { reason } = error.details
  return (error.code === 'transfer.unreadable' || error.code === 'transfer.unwritable') && (reason === 'EACCES' || reason === 'EPERM')
}
