// Checks the audit logs in a folder, the server's and the helper's: intact, or which entry is the first bad one, and what is missing.
import { type Dirent, readdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { namesOf, readWatermark } from '../../base/ledger/segments.ts'
import { verdictText } from '../../base/ledger/verdict-text.ts'
import { verifyLedger } from '../../base/ledger/verify.ts'
import { command } from '../../base/terminal/command.ts'
import { reasonOf } from '../../kernel/fault.ts'
import { statOf } from '../../kernel/file.ts'
import { fault } from '../faults.ts'
import { installationAt } from '../installation.ts'

export default command({
  summary: 'verify the audit logs: intact, or which entry is the first bad one',
  description:
    'Checks every audit log in the folder and right below it (those of the server, of servers on stdio, and of the helper), also in a copy that was made for an investigation. Entries of deleted files are reported as missing, and the rest is checked all the same. Exit code 3: one of them is not intact.',
  args: {
    action: { summary: 'what to do with them', choices: ['verify'] },
    folder: { summary: 'the folder of the logs; without it those of mcp-raspi-server and raspi-ops-agent, and your own', optional: true },
  },
  examples: [
    ['fairlead operate audit verify', 'check every entry of the server and of the helper that are installed here'],
    ['fairlead operate audit verify /var/log/mcp-raspi', 'check every entry of all audit logs'],
    ['fairlead operate audit verify /tmp/incident-logs-20261130', 'check a copy'],
  ],
  async run({ terminal, folders, signal }, { args }) {
    const own = join(folders.state, 'machine', 'log')
    const { logs, helperLogs } = installationAt()
    const places = args.folder === undefined ? [own, logs, helperLogs].filter((folder) => statOf(folder)) : [args.folder]
    const all = new Map(places.flatMap((folder) => [folder, ...subfolders(folder)]).map((folder) => [realpathSync(folder), folder]))
    const found = [...all.values()].flatMap((folder) => auditLogs(folder).map((file) => ({ folder, file })))
    if (found.length === 0) throw fault.no_audit({ folder: args.folder ?? own })
    const verdicts = await Promise.all(found.map((place) => verdictOn(place, signal)))
    terminal.result(verdicts, () => verdicts.map(({ log, ...verdict }) => `${log}: ${verdictText(verdict)}`).join('\n\n'))
    return verdicts.every(({ intact }) => intact) ? 0 : 3
  },
})

/** The machine that wrote it may be another one, so that the name of its chain is not asked for. */
async function verdictOn({ folder, file }: { readonly folder: string; readonly file: string }, signal: AbortSignal) {
  const verdict = await verifyLedger(folder, { file, signal })
  const synced = readWatermark(namesOf(folder, file))?.seq ?? 0
  const durability = { written: verdict.last?.seq ?? 0, synced, witnessed: 0 }
  return { log: join(folder, file), ...verdict, durability, checkpoint: 0, witnesses: [], earlier: [], problems: [] }
}

/** Their active files, be they there or only closed ones of them. */
function auditLogs(folder: string): string[] {
  const names = entriesOf(folder).flatMap(
    ({ name }) => /^(audit(?:\.stdio\d+)?)(?:[.-]\d[\d-]*)?\.log(?:[.-]\d[\d-]*)?(?:\.gz)?$/.exec(name)?.[1] ?? [],
  )
  return [...new Set(names)].sort().map((stem) => `${stem}.log`)
}

function subfolders(folder: string): string[] {
  const paths = entriesOf(folder).map(({ name }) => join(folder, name))
  return paths.filter((path) => statOf(path)?.isDirectory()) // links too: that to the helper's
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    throw fault.no_logs({ folder, reason: reasonOf(error) }, error)
  }
}
