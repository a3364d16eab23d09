// Says why nothing is shared, or that all is well: every step of the runbook's troubleshooting, with what was seen and what to do.
import { examine } from '../../base/checks/examine.ts'
import { exitCodeOf, findingsText } from '../../base/checks/report.ts'
import { command } from '../../base/terminal/command.ts'
import { type ShareCheck, createExamination } from '../examination.ts'

export default command({
  summary: 'find out why runners share nothing',
  description:
    'Run it where the runner is, with the same variables, or on the host. It looks at the secret, the address, the port, who answers there, whether the keys are the same, the clocks, and what was counted. It changes nothing, but makes an identity where there is none; the host sees it join for a moment. Exit code 0: all is good; 3: something was found.',
  examples: [
    ['fairlead share doctor', 'what stands in the way?'],
    ['fairlead share doctor --json', 'the same for programs'],
  ],
  async run(context) {
    const { terminal, clock, signal } = context
    await using examination = createExamination(context)
    const findings = await examine(await shareChecks(), examination, { clock, signal, onStart: terminal.progress })
    terminal.done()
    const exitCode = exitCodeOf(findings)
    terminal.result({ isGood: exitCode === 0, findings }, () => findingsText(findings, terminal.style))
    return exitCode
  },
})

async function shareChecks(): Promise<{ name: string; check: ShareCheck }[]> {
  const { checks } = await import('../../extensions.ts')
  const ours = checks.filter(({ owner }) => owner === 'share')
  return Promise.all(ours.map(async ({ name, load }) => ({ name, check: (await load()).default as ShareCheck })))
}
