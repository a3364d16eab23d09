// Has a change of release carried out by a transient unit, and waits for its end as a person does.
import type { Context } from '../../base/terminal/command.ts'
import { findJob, startJob } from '../jobs.ts'
import type { Engine } from './engine-of.ts'
import { fault } from './faults.ts'
import { readVersion } from './version-file.ts'

const askEveryMs = 250

/** Faults `job.*`, `update.failed`. */
export async function carryOutAsJob({ terminal, clock, signal }: Context, engine: Engine, words: readonly string[]): Promise<void> {
  const id = await startJob('update', [engine.releases.program(), 'operate', ...words])
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
