// Asks the doctrine as somebody on this machine: of the gate that runs, by the credentials of the environment or over its own socket, and of the files that runs leave.
import { asFault } from '../../kernel/fault.ts'
import { type Finding, bad } from '../../base/checks/check.ts'
import type { Context } from '../../base/terminal/command.ts'
import { doctrineOf } from './doctrine.ts'
import { type Lists, examinationOf, openStage } from './stage.ts'

/** `isAway`: the gate does not answer, which is another thing than one that answers badly. What is wrong with the configuration is a finding. */
export async function askDoctrine(
  context: Context,
  lists: Lists,
  config: string | undefined,
): Promise<{ readonly findings: readonly Finding[]; readonly isAway: boolean }> {
  const { clock, signal, terminal } = context
  try {
    await using stage = await openStage(context, lists, { config, instance: 'doctrine' })
    const examination = examinationOf(context, stage)
    const findings = await doctrineOf({ checks: stage.checks, examination }, { clock, signal, onStart: terminal.progress })
    if (!stage.toggles.isOn) return { findings, isAway: false }
    const isAway = await examination.live().then(
      () => false,
      (error: unknown) => asFault(error).kind === 'unavailable',
    )
    return { findings, isAway }
  } catch (error) {
    const { kind, message, hint } = asFault(error)
    if (kind !== 'config') throw error
    return { findings: [{ name: 'config-valid', ...bad(message, hint) }], isAway: false }
  }
}
