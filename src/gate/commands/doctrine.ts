// Asks the doctrine of the connectors: everything that the runbook wants to be so, of the gate that runs and of the files it leaves.
import { asFault } from '../../kernel/fault.ts'
import { type Finding, bad } from '../../base/checks/check.ts'
import { findingsText } from '../../base/checks/report.ts'
import { type Context, command } from '../../base/terminal/command.ts'
import { doctrineExitCode, doctrineOf, failuresIn } from '../holder/doctrine.ts'
import { examinationOf, openStage } from '../holder/stage.ts'
import { configFlag } from '../client.ts'

export default command({
  summary: 'check the connectors: sessions, rotations, heartbeats, records, with evidence and remedy',
  description:
    'The gate that runs is asked, with the credentials of the environment, or without any over its own socket; the rotation ledger has to agree with it. Exit code 0: all is good; 1: something is bad; 3: nothing is bad, but something could not be told; 5: the gate does not answer.',
  flags: { config: configFlag },
  examples: [
    ['fairlead gate doctrine', 'a line for each finding, and below it what to do'],
    ['fairlead gate doctrine --json', 'the same for a program'],
  ],
  async run(context, { flags: { config } }) {
    const { terminal } = context
    const { findings, isAway } = await asked(context, config)
    terminal.done()
    const failures = failuresIn(findings)
    terminal.result({ doctrine_ok: failures.length === 0, doctrine_failures: failures, findings }, () =>
      findingsText(findings, terminal.style),
    )
    return isAway ? 5 : doctrineExitCode(findings)
  },
})

async function asked(context: Context, config: string | undefined): Promise<{ findings: readonly Finding[]; isAway: boolean }> {
  const { clock, signal, terminal } = context
  try {
    await using stage = await openStage(context, await import('../../extensions.ts'), { config, instance: 'doctrine' })
    const examination = examinationOf(context, stage)
    const findings = await doctrineOf({ checks: stage.checks, examination }, { clock, signal, onStart: terminal.progress })
    if (!stage.toggles.isOn) return { findings, isAway: false }
    // A gate that does not answer is another thing than one that answers badly.
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
