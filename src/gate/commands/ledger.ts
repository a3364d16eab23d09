// Checks the gate's ledger: is it whole, and if not, which entry is the first bad one. Or drops its oldest files.
import { join } from 'node:path'
import { dropSegments } from '../../base/ledger/retention.ts'
import { verdictText } from '../../base/ledger/verdict-text.ts'
import { verifyWitnessed } from '../../base/ledger/verify-witnessed.ts'
import { type Context, command } from '../../base/terminal/command.ts'
import { statOf } from '../../kernel/file.ts'
import { fault } from '../faults.ts'
import { ledgerName } from '../watched-ledger.ts'

export default command({
  summary: 'verify the record of calls: intact, or which entry is the first bad one; drop its oldest files',
  description:
    'What was signed of the record is checked, too: its files may be dropped, oldest first, once a checkpoint covers them, and the rest still verifies. Exit code 3: it is not intact.',
  args: { action: { summary: 'verify or drop' }, folder: { summary: "the ledger's folder; the gate's own by default", optional: true } },
  flags: { keep: { value: 'MIB', type: 'integer', summary: 'to drop: how many MiB of entries stay at least' } },
  examples: [
    ['fairlead gate ledger verify', "check every entry of the gate's ledger"],
    ['fairlead gate ledger drop --keep 512', 'remove the oldest files until 512 MiB are left; their hashes stay'],
  ],
  async run(context, { args: { action, folder: named }, flags: { keep } }) {
    const folder = named ?? join(context.folders.state, 'gate', 'ledger')
    if (action === 'verify' && keep === undefined) return verify(context, folder)
    if (action === 'drop' && keep !== undefined && keep >= 0) return drop(context, folder, keep)
    throw fault.unknown_action({ action })
  },
})

async function verify({ terminal, signal }: Context, folder: string): Promise<number> {
  const verdict = await verifyWitnessed({ folder, origin: ledgerName }, { signal })
  // A chain of no entries is whole, but who looks in the wrong folder, or whose ledger was deleted, must not be told so.
  if (verdict.entries === 0 && !statOf(join(folder, 'ledger.jsonl'))) throw fault.no_ledger({ folder })
  terminal.result(verdict, () => verdictText(verdict))
  return verdict.intact ? 0 : 3
}

function drop({ terminal }: Context, folder: string, keepMib: number): void {
  if (!statOf(join(folder, 'ledger.jsonl'))) throw fault.no_ledger({ folder })
  const dropped = dropSegments({ folder }, keepMib * 2 ** 20)
  terminal.result({ dropped }, () =>
    dropped.length === 0
      ? 'nothing was dropped: all is young enough, or not signed yet'
      : dropped.map(({ file, from, to }) => `dropped ${file}: entries ${from} to ${to}`).join('\n'),
  )
}
