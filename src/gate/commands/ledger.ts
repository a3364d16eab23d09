// Checks the gate's ledger: is it whole, and if not, which entry is the first bad one.
import { join } from 'node:path'
import { type LedgerVerdict, verifyLedger } from '../../base/ledger/verify.ts'
import { command } from '../../base/terminal/command.ts'
import { statOf } from '../../kernel/file.ts'
import { fault } from '../faults.ts'

export default command({
  summary: 'verify the record of calls: intact, or which entry is the first bad one',
  args: { action: { summary: 'verify' }, folder: { summary: "the ledger's folder; the gate's own by default", optional: true } },
  examples: [['fairlead gate ledger verify', "check every entry of the gate's ledger"]],
  async run({ terminal, folders, signal }, { args }) {
    if (args.action !== 'verify') throw fault.unknown_action({ action: args.action })
    const folder = args.folder ?? join(folders.state, 'gate', 'ledger')
    const verdict = await verifyLedger(folder, { signal })
    // A chain of no entries is whole, but who looks in the wrong folder, or whose ledger was deleted, must not be told so.
    if (verdict.entries === 0 && !statOf(join(folder, 'ledger.jsonl'))) throw fault.no_ledger({ folder })
    terminal.result(verdict, () => inWords(verdict))
    return verdict.intact ? 0 : 3
  },
})

function inWords(verdict: LedgerVerdict): string {
  const { entries, last, gaps, torn } = verdict
  const head = verdict.intact
    ? `intact: ${entries} entries${last ? `, last ${last.seq} (${last.hash})` : ''}`
    : `not intact: ${verdict.firstBad.file} line ${verdict.firstBad.line}, entry ${verdict.firstBad.seq}: ${verdict.firstBad.problem}\n` +
      `good before it: ${entries} entries`
  return [
    head,
    ...gaps.map(({ from, to }) => `missing: entries ${from} to ${to}`),
    ...torn.map(({ file, sizeBytes }) => `unfinished: ${sizeBytes} bytes at the end of ${file}`),
  ].join('\n')
}
