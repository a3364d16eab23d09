// The smoke run of stage B: `stage-b-smoke`.
import { join } from 'node:path'
import { randomId } from '../../kernel/random.ts'
import { findingsText } from '../../base/checks/report.ts'
import { command } from '../../base/terminal/command.ts'
import { smoke } from '../holder/smoke.ts'
import { openStage } from '../holder/stage.ts'
import { configFlag } from '../client.ts'

export default command({
  summary: 'hand-shake and beat for every connector, check the doctrine, leave a receipt',
  description:
    'The environment says whether (ABZU_USE_MCP=1), where (MCP_GATEWAY_URL) and with what (MCP_CONNECTOR_TOKEN). Exit code 0: the doctrine has nothing to say; 1: it has; 5: no gateway was reached. A receipt is written in each case.',
  flags: {
    'skip-heartbeat': { summary: 'send no heartbeat, and spare the gateway: one handshake each, no retry, 2 s at most' },
    offline: { summary: 'touch no gateway: only what lies in files is checked, so the doctrine is never whole' },
    config: configFlag,
  },
  examples: [
    ['fairlead gate smoke --json', 'the report as one JSON object'],
    ['fairlead gate smoke --skip-heartbeat', 'while the gateway is not to be stressed'],
  ],
  async run(context, { flags }) {
    const { clock, log, signal, terminal } = context
    await using stage = await openStage(context, await import('../../extensions.ts'), {
      config: flags.config,
      instance: `stage-b-smoke-${randomId(6)}`,
    })
    const settings = { isBeatSkipped: flags['skip-heartbeat'], isOffline: flags.offline }
    const { report, findings, receipt, exitCode } = await smoke({ clock, log, signal, onStart: terminal.progress }, stage, settings)
    terminal.done()
    terminal.note(`receipt: ${join(stage.logs, receipt.file)} (sha256 ${receipt.sha256})`)
    terminal.result(report, () => findingsText(findings, terminal.style))
    return exitCode
  },
})
