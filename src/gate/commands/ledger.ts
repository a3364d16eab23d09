// Checks the gate's ledger: is it whole, and if not, which entry is the first bad one.
import { join } from 'node:path'
import { verifyLedger } from '../../base/ledger/verify.ts'
import { command } from '../../base/terminal/command.ts'

export default command({
  summary: 'verify the record of calls: intact, or which entry is the first bad one',
  args: { action: { summary: 'verify' }, folder: { summary: "the ledger's folder; the gate's own by default", optional: true } },
  examples: [['fairlead gate ledger verify', "check every entry of the gate's ledger"]],
  async run({ terminal, folders }, { args }) {
    const verdict = await verifyLedger(args.folder ?? join(folders.state, 'gate', 'ledger'))
    terminal.result(verdict, () => JSON.stringify(verdict, undefined, 2))
    return verdict.intact ? 0 : 3
  },
})
