// Shows what was sent and received, checks that the record of it is whole, has another peer witness it, and proves single entries of it.
import type { Context, Flag, Input } from '../../base/terminal/command.ts'
import { command } from '../../base/terminal/command.ts'
import { readCheckpoints } from '../../base/ledger/checkpoint-files.ts'
import { checkEntryProof, entryProofText } from '../../base/ledger/proving.ts'
import { verdictText } from '../../base/ledger/verdict-text.ts'
import { sizeText } from '../../base/terminal/amount.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { readWalletCard } from '../../base/identity/wallet.ts'
import { readText } from '../../kernel/file.ts'
import { fault } from '../faults.ts'
import { type PastEntry, historyName, pastEntries, signHistory, verifyHistory } from '../history.ts'
import { homeFlags, homeOf, openWallet } from '../home.ts'
import { searchFlags } from '../finding/searches.ts'
import { tableText } from '../../base/terminal/table.ts'
import { askingWitness } from '../witness/asking.ts'
import { askKnown, haveWitnessed } from '../witness/client.ts'

const flags = {
  verify: { summary: 'check every entry against all that was signed, and name the first bad one' },
  witness: {
    value: 'PEER',
    summary: 'have this peer sign how far it has seen the record; with --verify: check it against what that peer has seen before',
  },
  prove: { value: 'ENTRY', type: 'integer', summary: 'print a proof that this entry is in the record, for others to --check' },
  check: { value: 'FILE', summary: 'check such a proof, of whomever' },
  limit: { value: 'COUNT', type: 'integer', default: 20, summary: 'how many of the newest to show' },
  server: { value: 'HOST[:PORT]', summary: 'the registry to ask for the witness; the last one registered with by default' },
  address: { value: 'MULTIADDR', repeat: true, summary: 'where the witness listens: the registry is not asked then' },
  ...searchFlags,
  ...homeFlags,
} as const satisfies Record<string, Flag>
type Asked = Input<Record<string, never>, typeof flags>['flags']

export default command({
  summary: 'show what was sent and received; verify, witness or prove the record of it',
  description:
    'The record is blockchain.json in the identity’s folder: a chain of who, when and the digest of what, never the text. It may be deleted at any time; then a new chain begins. A damaged one is no hindrance to messages. A witness is another machine of yours that says "reach witness add ID"; what it has seen cannot be cut or altered unnoticed. Exit code 3: the record is not intact, or the proof proves nothing.',
  flags,
  examples: [
    ['fairlead reach history', 'the newest 20 entries'],
    ['fairlead reach history --verify', 'intact and how safe, or which entry is the first bad one'],
    ['fairlead reach history --witness LinuxBox', 'from now on LinuxBox can tell what there was up to here'],
    ['fairlead reach history --verify --witness LinuxBox', 'whether the record is still the one that LinuxBox saw'],
    ['fairlead reach history --prove 12', 'what proves entry 12 to somebody who has not the record'],
    ['fairlead reach history --check entry-12.tlog-proof', 'whether that proves anything, and what'],
  ],
  async run(context, { flags: asked }) {
    const alone = [asked.prove, asked.check].filter((value) => value !== undefined).length
    if (alone > 1 || (alone === 1 && (asked.verify || asked.witness !== undefined))) throw fault.proof_alone({})
    if (asked.check !== undefined) return check(context, asked.check)
    if (asked.prove !== undefined) return prove(context, asked, asked.prove)
    if (asked.verify) return verify(context, asked)
    if (asked.witness !== undefined) return witness(context, asked, asked.witness)
    return list(context, asked)
  },
})

function list({ terminal, folders }: Context, asked: Asked): void {
  const home = homeOf({ folders }, asked)
  const entries = pastEntries(home, Math.max(0, asked.limit))
  terminal.result({ file: home.history, entries }, () => (entries.length === 0 ? 'no history' : tableText([heads, ...entries.map(rowOf)])))
}

async function verify(context: Context, asked: Asked): Promise<number> {
  const { terminal, folders, signal } = context
  const home = homeOf({ folders }, asked)
  const owner = readWalletCard(home.wallet)?.peerId
  const told =
    asked.witness === undefined
      ? []
      : await askingWitness(context, asked, asked.witness, (needs, peerId) => askKnown(needs, peerId, historyName))
  const verdict = await verifyHistory(home, { owner, told, signal })
  terminal.result({ file: home.history, ...verdict }, () =>
    verdictText(verdict, '; to begin anew, delete the file: messages do not depend on it'),
  )
  return verdict.intact ? 0 : 3
}

async function witness(context: Context, asked: Asked, peer: string): Promise<void> {
  const { terminal, folders, clock, log, signal } = context
  const { identity } = await openWallet(context, asked)
  const made = await signHistory({ clock, log, identity }, homeOf({ folders }, asked), signal)
  const { by, at, size } = await askingWitness(context, asked, peer, (needs) => haveWitnessed(needs, made, signal))
  const time = new Date(at).toISOString()
  terminal.result({ witnessed: size, by, at: time }, () => `witnessed up to ${size} by ${by} at ${time}`)
}

async function prove(context: Context, asked: Asked, seq: number): Promise<void> {
  const { terminal, folders, clock, log, signal } = context
  const { identity } = await openWallet(context, asked)
  const made = await signHistory({ clock, log, identity }, homeOf({ folders }, asked), signal)
  const { chain, owner } = made.checkpoint
  const witnessed = readCheckpoints(made.names)
    .witnessed.filter((one) => one.owner === owner && one.chain === chain && one.size >= seq)
    .toSorted((a, b) => b.size - a.size)
  const proof = await entryProofText(made, witnessed[0] ?? made.checkpoint, seq, signal)
  terminal.result({ entry: seq, proof }, () => proof)
}

function check({ terminal }: Context, file: string): number {
  const text = readText(file)
  if (text === undefined) throw fault.no_proof_file({ file })
  const found = checkEntryProof(text)
  if (!found.proved) {
    terminal.result({ file, ...found }, () => `proves nothing: ${found.problem}`)
    return 3
  }
  const { seq, line, checkpoint } = found
  const { owner, ledger, chain, size } = checkpoint
  const witnesses = checkpoint.cosignatures.map(({ by, at }) => ({ by, at: new Date(at).toISOString() }))
  terminal.result({ file, proved: true, entry: seq, owner, ledger, chain, size, witnesses, line }, () =>
    [
      `proved: entry ${seq} of ${visibleText(ledger)}, as ${owner} signed it when there were ${size}`,
      ...(witnesses.length === 0 ? ['witnessed by nobody'] : witnesses.map(({ by, at }) => `witnessed by ${by} at ${at}`)),
      visibleText(line),
    ].join('\n'),
  )
  return 0
}

const heads = ['ENTRY', 'TIME', 'EVENT', 'PEER', 'MESSAGE', 'SHA-256'] as const

function rowOf({ seq, time, event, peer, id, message, file, delivered, mailbox }: PastEntry): string[] {
  const isUndelivered = event === 'sent' && delivered === false
  const what = isUndelivered ? (mailbox ? 'left in mailbox' : 'not delivered') : (event ?? '')
  const digest = file ? `${file.sha256} (a file, ${sizeText(file.sizeBytes)})` : (message ?? '')
  return [String(seq), time, what, peer ?? '', id ?? '', digest].map(visibleText)
}
