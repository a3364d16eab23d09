// Finds out what is wrong with the gate of this machine: its own health, its record, and the doctrine where connectors are used.
import { join } from 'node:path'
import { type Finding, bad, good } from '../../base/checks/check.ts'
import { exitCodeOf, findingsText } from '../../base/checks/report.ts'
import { loadMachineConfig } from '../../base/config/machine.ts'
import { verdictText } from '../../base/ledger/verdict-text.ts'
import { verifyWitnessed } from '../../base/ledger/verify-witnessed.ts'
import { type Context, command } from '../../base/terminal/command.ts'
import { asFault } from '../../kernel/fault.ts'
import { statOf } from '../../kernel/file.ts'
import { configFlag, controlFolder, gateCalls } from '../client.ts'
import { gateFolder } from '../configured.ts'
import { askDoctrine } from '../holder/asking.ts'
import type { GateConfig } from '../upstream-kind.ts'
import { gateLedger } from '../watched-ledger.ts'

export default command({
  summary: 'find out what is wrong with the gate: its health, its record, its connectors',
  description:
    'The gate that runs is asked how it is; its record is verified, entry by entry; and where a connector has a credential, the doctrine is asked. Nothing is changed. Exit code 0: all is good; 3: something was found.',
  flags: { config: configFlag },
  examples: [['fairlead gate doctor', 'a line for each finding, and below it what to do']],
  async run(context, { flags: { config: file } }) {
    const { terminal } = context
    const lists = await import('../../extensions.ts')
    const { path, tables } = await loadMachineConfig(lists.configs, context.folders.config, file)
    const config = tables['gate'] as GateConfig
    const { findings: own, isUsed } = await gateFindings(context, controlFolder(context.folders, path, config))
    const record = await recordFindings(context, gateFolder(config, context.folders.state))
    const doctrine = isUsed ? (await askDoctrine(context, lists, file)).findings : []
    terminal.done()
    const findings = [...own, ...record, ...doctrine]
    const exitCode = exitCodeOf(findings)
    terminal.result({ isGood: exitCode === 0, findings }, () => findingsText(findings, terminal.style))
    return exitCode
  },
})

/** `isUsed`: some connector has a credential. */
async function gateFindings(
  { terminal }: Context,
  folder: string,
): Promise<{ readonly findings: readonly Finding[]; readonly isUsed: boolean }> {
  terminal.progress('asking the gate')
  try {
    const gate = gateCalls(folder)
    const [{ checks }, connectors] = await Promise.all([gate.summary({}), gate['list-connectors']({})])
    return {
      findings: checks.map(({ name, ok, reason }) => ({ name: 'health', ...(ok ? good(reason, name) : bad(reason, undefined, name)) })),
      isUsed: connectors.some(({ status }) => status !== 'unissued'),
    }
  } catch (error) {
    const { message, hint } = asFault(error)
    return { findings: [{ name: 'health', ...bad(message, hint) }], isUsed: false }
  }
}

async function recordFindings({ terminal, signal }: Context, folder: string): Promise<readonly Finding[]> {
  const place = gateLedger(folder)
  if (!statOf(join(place.folder, 'ledger.jsonl'))) return []
  terminal.progress('verifying the record')
  const verdict = await verifyWitnessed(place, { signal })
  const text = verdictText(verdict).split('\n')[0]!
  return [{ name: 'record', ...(verdict.intact ? good(text) : bad(text, 'fairlead gate ledger verify')) }]
}
