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
    const { configs } = await import('../../extensions.ts')
    const { path, tables } = await loadMachineConfig(configs, context.folders.config, file)
    const config = tables['gate'] as GateConfig
    const own = await gateFindings(context, controlFolder(context.folders, path, config))
    const record = await recordFindings(context, gateFolder(config, context.folders.state))
    terminal.done()
    const findings = [...own, ...record]
    const exitCode = exitCodeOf(findings)
    terminal.result({ isGood: exitCode === 0, findings }, () => findingsText(findings, terminal.style))
    return exitCode
  },
})

/** The doctrine is asked only where some connector has a credential: else there is nothing that it could be about. */
async function gateFindings({ terminal }: Context, folder: string): Promise<readonly Finding[]> {
  terminal.progress('asking the gate')
  try {
    const gate = gateCalls(folder, doctrineMs)
    const [{ checks }, connectors] = await Promise.all([gate.summary({}), gate['list-connectors']({})])
    const isUsed = connectors.some(({ status }) => status !== 'unissued')
    const doctrine = isUsed ? await gate['show-doctrine']({}) : []
    return [
      ...checks.map(({ name, ok, reason, remedy }) => ({ name, ...(ok ? good(reason) : bad(reason, remedy)) })),
      ...doctrine.map(({ name, verdict, evidence, about, remedy }) => ({
        name: `doctrine ${name}`,
        verdict,
        evidence,
        ...(about === undefined ? {} : { about }),
        ...(remedy === undefined ? {} : { remedy }),
      })),
    ]
  } catch (error) {
    const { message, hint } = asFault(error)
    return [{ name: 'gate', ...bad(message, hint) }]
  }
}

/** Its checks have ten seconds each. */
const doctrineMs = 60_000

async function recordFindings({ terminal, signal }: Context, folder: string): Promise<readonly Finding[]> {
  const place = gateLedger(folder)
  if (!statOf(join(place.folder, 'ledger.jsonl'))) return []
  terminal.progress('verifying the record')
  const verdict = await verifyWitnessed(place, { signal })
  const text = verdictText(verdict).split('\n')[0]!
  return [{ name: 'record', ...(verdict.intact ? good(text) : bad(text, 'fairlead gate ledger verify')) }]
}
