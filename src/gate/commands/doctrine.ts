// Asks the doctrine of the connectors: everything that the runbook wants to be so, of the gate that runs and of the files it leaves.
import { findingsText } from '../../base/checks/report.ts'
import { command } from '../../base/terminal/command.ts'
import { askDoctrine } from '../holder/asking.ts'
import { doctrineExitCode, failuresIn } from '../holder/doctrine.ts'
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
    const { findings, isAway } = await askDoctrine(context, await import('../../extensions.ts'), config)
    terminal.done()
    const failures = failuresIn(findings)
    terminal.result({ doctrine_ok: failures.length === 0, doctrine_failures: failures, findings }, () =>
      findingsText(findings, terminal.style),
    )
    return isAway ? 5 : doctrineExitCode(findings)
  },
})
