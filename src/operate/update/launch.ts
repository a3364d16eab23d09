// Has a change of release carried out by a transient unit, and waits for its end as a person does.
import { join } from 'node:path'
import type { Context } from '../../base/terminal/command.ts'
import { findJob, startJob } from '../jobs.ts'
import type { Engine } from './engine-of.ts'
import { fault } from './faults.ts'
import { readVersion } from './version-file.ts'

const askEveryMs = 250

/** The program of the release that runs now: it must be able to end what it begins, whatever becomes of the link meanwhile. */
export function programOf({ releases }: Pick<Engine, 'releases'>): string {
  return join(releases.folderOf(releases.current()), 'bin/fairlead')
}

/** Faults `job.*`, `update.failed`. */
export async function carryOutAsJob({ terminal, clock, signal }: Context, engine: Engine, words: readonly string[]): Promise<void> {
  const id = await startJob('update', [programOf(engine), 'operate', ...words])
  for (;;) {
    const { state, lines } = await findJob(id)
    if (state === 'done') break
    if (state === 'failed') {
      terminal.done()
      throw fault.failed({
        problem:
          lines.findLast((line) => line.startsWith('fairlead: error: '))?.slice('fairlead: error: '.length) ?? `the job ${id} failed`,
      })
    }
    if (lines.length > 0) terminal.progress(lines.at(-1)!)
    await clock.wait(askEveryMs, signal)
  }
  terminal.done()
  const state = readVersion(engine.installation.root)
  terminal.result(state, () => `${state?.current_version} runs; before it was ${state?.last_update.from_version}`)
}
