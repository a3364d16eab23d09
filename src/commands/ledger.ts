// Checks the gate's ledger: is it whole, and if not, which entry is the first bad one; searches it; has another peer witness it; or drops its oldest files.
import { join } from 'node:path'
import { checkpointLedger } from '../base/ledger/checkpointing.ts'
import { dropSegments } from '../base/ledger/retention.ts'
import { verdictText } from '../base/ledger/verdict-text.ts'
import { verifyWitnessed } from '../base/ledger/verify-witnessed.ts'
import { type Context, type Flag, type Input, command } from '../base/terminal/command.ts'
import { statOf } from '../kernel/file.ts'

const searchFlags = {
  principal: { value: 'NAME', summary: 'to search: whose calls' },
  upstream: { value: 'NAME', summary: 'to search: at which upstream' },
  tool: { value: 'NAME', summary: 'to search: of which tool' },
  outcome: { value: 'WORD', summary: 'to search: ok, tool_error, error, refused, notSent, unknown, cancelled, or open: without an end' },
  from: { value: 'TIME', summary: 'to search: not before this time (2026-11-30T08:00:00Z, 2026-11-30), or so long ago (2h, 7d)' },
  to: { value: 'TIME', summary: 'to search: not after it' },
  trace: { value: 'ID', summary: 'to search: of this trace (its id, or a whole traceparent)' },
  reason: { value: 'TEXT', summary: 'to search: with this text in the reason, in letters of any case' },
  limit: { value: 'N', type: 'integer', summary: 'to search: how many at most, the newest; 50 by default' },
} as const satisfies Record<string, Flag>

const flags = {
  ...searchFlags,
  keep: { value: 'MIB', type: 'integer', summary: 'to drop: how many MiB of entries stay at least' },
  witness: {
    value: 'PEER',
    summary: 'to witness: who signs how far it has seen the record; to verify: check it against what that peer has seen',
  },
  server: { value: 'HOST[:PORT]', summary: 'the registry to ask for the witness; the last one registered with by default' },
  address: { value: 'MULTIADDR', repeat: true, summary: 'where the witness listens: the registry is not asked then' },
  home: { value: 'DIR', summary: "the folder of the node's identity, which signs the record" },
  'passphrase-file': { value: 'FILE', summary: "a file (mode 0600) with the passphrase that seals the node's wallet" },
} as const satisfies Record<string, Flag>
type Asked = Input<Record<string, never>, typeof flags>['flags']

export default command({
  under: 'gate',
  summary: 'verify the record of calls: intact, or which entry is the first bad one; search it; have it witnessed; drop its oldest files',
  description:
    'What was signed of the record is checked, too: its files may be dropped, oldest first, once a checkpoint covers them, and the rest still verifies. A witness is another machine of yours that says "fairlead reach witness add ID", with the id of this node; `fairlead up` asks those that reach.peer.witness names by itself. A search reads the files once, tells calls with their end and refusals, the newest first, and whether what it read is intact. Exit code 3: it is not intact.',
  args: {
    action: { summary: 'verify, search, witness or drop' },
    folder: { summary: "the ledger's folder; the gate's own by default", optional: true },
  },
  flags,
  examples: [
    ['fairlead gate ledger verify', "check every entry of the gate's ledger"],
    ['fairlead gate ledger search --principal ann --from 2h', 'what ann called, and was refused, in the last two hours'],
    ['fairlead gate ledger search --outcome refused --reason "no rule" --limit 10', 'the last ten calls that no rule allowed'],
    ['fairlead gate ledger search --trace 4bf92f3577b34da6a3ce929d0e0e4736 --json', 'every call of one trace, for a program'],
    ['fairlead gate ledger witness --witness LinuxBox', 'from now on LinuxBox can tell what there was up to here'],
    ['fairlead gate ledger verify --witness LinuxBox', 'whether it is still the one that LinuxBox saw'],
    ['fairlead gate ledger drop --keep 512', 'remove the oldest files until 512 MiB are left; their hashes stay'],
  ],
  async run(context, { args: { action, folder: named }, flags: asked }) {
    const { fault } = await import('../gate/faults.ts')
    const folder = named ?? join(context.folders.state, 'gate', 'ledger')
    const { keep, witness: peer } = asked
    for (const flag of Object.keys(searchFlags))
      if (action !== 'search' && asked[flag as keyof typeof searchFlags] !== undefined) throw fault.only_for_search({ flag })
    const hasLedger = statOf(join(folder, 'ledger.jsonl')) !== undefined
    if (action === 'verify' && keep === undefined) {
      const verdict = await verdictOn(context, folder, asked)
      // A chain of no entries is whole, but who looks in the wrong folder, or whose ledger was deleted, must not be told so.
      if (verdict.entries === 0 && !hasLedger) throw fault.no_ledger({ folder })
      context.terminal.result(verdict, () => verdictText(verdict))
      return verdict.intact ? 0 : 3
    }
    if (action === 'search' && keep === undefined && peer === undefined) {
      if (!hasLedger) throw fault.no_ledger({ folder })
      return search(context, folder, asked)
    }
    if (action === 'witness' && keep === undefined && peer !== undefined) {
      if (!hasLedger) throw fault.no_ledger({ folder })
      return witness(context, folder, asked, peer)
    }
    if (action !== 'drop' || keep === undefined || keep < 0 || peer !== undefined) throw fault.unknown_action({ action })
    if (!hasLedger) throw fault.no_ledger({ folder })
    return drop(context, folder, keep)
  },
})

type Gate = typeof import('../gate/watched-ledger.ts')

async function verdictOn(context: Context, folder: string, asked: Asked) {
  const { ledgerName }: Gate = await import('../gate/watched-ledger.ts')
  const { signal } = context
  const place = { folder, origin: ledgerName }
  if (asked.witness === undefined) return verifyWitnessed(place, { signal })
  const [{ askingWitness }, { askKnown }] = await Promise.all([import('../reach/witness/asking.ts'), import('../reach/witness/client.ts')])
  const { owner, told } = await askingWitness(context, wholeFlags(asked), asked.witness, async (needs, owner) => ({
    owner,
    told: await askKnown(needs, owner, ledgerName),
  }))
  return verifyWitnessed(place, { owner, told, signal })
}

const mostFound = 10_000

async function search({ terminal, clock, signal }: Context, folder: string, asked: Asked): Promise<number> {
  const [{ durationMs }, { fault }, { searchLedger }, { searchText }] = await Promise.all([
    import('../base/config/duration.ts'),
    import('../gate/faults.ts'),
    import('../gate/ledger-search.ts'),
    import('../gate/ledger-shown.ts'),
  ])
  const timeOf = (flag: 'from' | 'to'): number | undefined => {
    const value = asked[flag]
    if (value === undefined) return undefined
    const agoMs = durationMs(value)
    const timeMs = agoMs === undefined ? (/^\d{4}-\d\d-\d\d/.test(value) ? Date.parse(value) : Number.NaN) : clock.now() - agoMs
    if (Number.isNaN(timeMs)) throw fault.bad_time({ flag, value })
    return timeMs
  }
  const { principal, upstream, tool, outcome, reason, trace, limit = 50 } = asked
  if (limit < 1 || limit > mostFound) throw fault.bad_limit({ value: limit, most: mostFound })
  const traceId = trace && (/^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(trace)?.[1] ?? trace)
  const wanted = { principal, upstream, tool, outcome, reason, trace: traceId, fromMs: timeOf('from'), toMs: timeOf('to') }
  const result = await searchLedger(folder, wanted, limit, signal)
  terminal.result(result, () => searchText(result))
  return result.searched.intact ? 0 : 3
}

async function witness(context: Context, folder: string, asked: Asked, peer: string): Promise<void> {
  const { terminal, log, signal } = context
  const { ledgerName }: Gate = await import('../gate/watched-ledger.ts')
  const [{ askingWitness }, { haveWitnessed }, { openWallet }, { fault }] = await Promise.all([
    import('../reach/witness/asking.ts'),
    import('../reach/witness/client.ts'),
    import('../reach/home.ts'),
    import('../gate/faults.ts'),
  ])
  const { identity } = await openWallet(context, wholeFlags(asked))
  const made = await checkpointLedger({ identity, log }, { folder, origin: ledgerName }, signal)
  if (!made) throw fault.no_ledger({ folder })
  const { by, at, size } = await askingWitness(context, wholeFlags(asked), peer, (needs) => haveWitnessed(needs, made, signal))
  const time = new Date(at).toISOString()
  terminal.result({ witnessed: size, by, at: time }, () => `witnessed up to ${size} by ${by} at ${time}`)
}

/** As those commands of reach take them that ask a witness. */
function wholeFlags(asked: Asked) {
  return { ...asked, 'passphrase-env': undefined, 'no-lan': false, dht: false, 'dht-node': [] }
}

function drop({ terminal }: Context, folder: string, keepMib: number): void {
  const dropped = dropSegments({ folder }, keepMib * 2 ** 20)
  terminal.result({ dropped }, () =>
    dropped.length === 0
      ? 'nothing was dropped: all is young enough, or not signed yet'
      : dropped.map(({ file, from, to }) => `dropped ${file}: entries ${from} to ${to}`).join('\n'),
  )
}
