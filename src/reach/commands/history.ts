// Shows what was sent and received, or checks that the record of it is whole.
import { command } from '../../base/terminal/command.ts'
import type { LedgerVerdict } from '../../base/ledger/verify.ts'
import { type PastEntry, pastEntries, verifyHistory } from '../history.ts'
import { homeFlags, homeOf } from '../home.ts'
import { sizeText } from '../../base/terminal/amount.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { tableText } from '../shown.ts'

export default command({
  summary: 'show what was sent and received, or verify the record of it',
  description:
    'The record is blockchain.json in the identity’s folder: a chain of who, when and the digest of what, never the text. It may be deleted at any time; then a new chain begins. A damaged one is no hindrance to messages. Exit code 3: it is not intact.',
  flags: {
    verify: { summary: 'check every entry, and name the first bad one' },
    limit: { value: 'COUNT', type: 'integer', default: 20, summary: 'how many of the newest to show' },
    ...homeFlags,
  },
  examples: [
    ['fairlead reach history', 'the newest 20 entries'],
    ['fairlead reach history --verify', 'intact, or which entry is the first bad one'],
  ],
  async run({ terminal, folders, signal }, { flags }) {
    const home = homeOf({ folders }, flags)
    if (flags.verify) {
      const verdict = await verifyHistory(home, signal)
      terminal.result({ file: home.history, ...verdict }, () => verdictText(verdict))
      return verdict.intact ? 0 : 3
    }
    const entries = pastEntries(home, Math.max(0, flags.limit))
    terminal.result({ file: home.history, entries }, () =>
      entries.length === 0 ? 'no history' : tableText([heads, ...entries.map(rowOf)]),
    )
    return 0
  },
})

const heads = ['ENTRY', 'TIME', 'EVENT', 'PEER', 'MESSAGE', 'SHA-256'] as const

function rowOf({ seq, time, event, peer, id, message, file, delivered }: PastEntry): string[] {
  const what = event === 'sent' && delivered === false ? 'not delivered' : (event ?? '')
  const digest = file ? `${file.sha256} (a file, ${sizeText(file.sizeBytes)})` : (message ?? '')
  return [String(seq), time, what, peer ?? '', id ?? '', digest].map(visibleText)
}

function verdictText(verdict: LedgerVerdict): string {
  const { entries, last, gaps, torn } = verdict
  const head = verdict.intact
    ? `intact: ${entries} entries${last ? `, last ${last.seq} (${last.hash})` : ''}`
    : `not intact: ${verdict.firstBad.file} line ${verdict.firstBad.line}, entry ${verdict.firstBad.seq}: ${verdict.firstBad.problem}\n` +
      `good before it: ${entries} entries; to begin anew, delete the file: messages do not depend on it`
  const missing = gaps.map(({ from, to }) => `missing: entries ${from} to ${to}`)
  const unfinished = torn.map(({ file, sizeBytes }) => `unfinished: ${sizeBytes} bytes at the end of ${file}`)
  return [head, ...missing, ...unfinished].join('\n')
}
