// An MCP server that is started for one session: a child process of its own, started again when it ends, with the client none the worse for it.
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { type ChildEnd, startChild } from '../../base/supervise/child.ts'
import type { Guard } from '../../base/supervise/guard.ts'
import { childWire } from '../../base/supervise/wire.ts'
import { splitWords } from '../../base/supervise/words.ts'
import type { ScanLimits } from '../../base/wire/walk.ts'
import type { Wire, WireEnd } from '../../base/wire/wire.ts'
import { fault } from '../faults.ts'
import { renewedWire } from './renewed-wire.ts'

export type ServedChildNeeds = { readonly guard: Guard; readonly clock: Clock; readonly log: Log }

export type ServedChildSettings = {
  /** A command line, quoted as in a shell and read by none. */
  readonly command: string
  /** The child's whole environment. */
  readonly env: Readonly<Record<string, string>>
  readonly limits?: ScanLimits
}

/** Starts the child at once and answers with a wire to it, which ends only by `close()`; then the child's whole process group is gone. Fault: `supervise.bad_words`. */
export function servedChild(needs: ServedChildNeeds, settings: ServedChildSettings): Wire {
  const { clock, log } = needs
  const { command } = settings
  splitWords(command)
  const lost = (end: WireEnd) => fault.child_ended({ command, how: 'problem' in end ? end.problem : end.why })
  return renewedWire({ open: () => startedChild(needs, settings), lost, clock, log })
}

/** One life of such a child, as a wire that ends with it and then says how it ended. Faults: those of `startChild`, `supervise.bad_words`. */
export async function startedChild({ guard, clock, log }: ServedChildNeeds, { command, env, limits }: ServedChildSettings): Promise<Wire> {
  const argv = splitWords(command)
  const name = `the MCP server ${argv[0]}`
  const child = await startChild({ guard, clock, log }, { name, argv, env })
  const wire = childWire(child, { log, name, ...(limits ? { limits } : {}) })
  // the wire is told of the end of stdout before anybody knows the exit code, which belongs into the answer
  const ended = Promise.all([wire.ended, child.ended]).then(([, end]): WireEnd => ({ why: 'cut', problem: howEnded(end) }))
  return {
    ended,
    write: (frame) => wire.write(frame),
    room: () => wire.room(),
    read: (into) => wire.read(into),
    close: () => wire.close(),
  }
}

function howEnded(end: ChildEnd): string {
  const how = end.signal ?? `exit code ${end.exitCode}`
  const words = end.lastWords.trim().split('\n').at(-1)
  return words ? `${how}; it said: ${words}` : how
}
