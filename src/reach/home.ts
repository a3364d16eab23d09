// The folder of one identity (`~/.bmp` under the runbook's names): where its wallet lies and what this machine remembers beside it.
import { join } from 'node:path'
import type { Secret } from '../kernel/secret.ts'
import { type SshAgent, sshAgent } from '../base/identity/ssh-agent.ts'
import { type Wallet, type WalletKeys, loadWallet, readWalletCard, fault as walletFault } from '../base/identity/wallet.ts'
import { proxiesOf } from '../base/peer/proxy.ts'
import type { SharedHost } from '../base/peer/host/shared-host.ts'
import type { Context, Flag } from '../base/terminal/command.ts'
import { type PassphraseFlags, passphraseFlags, walletPassphrase } from './passphrase.ts'
import { finishRestore } from './backup/restore.ts'

/** Flags that every command of reach takes. */
export const homeFlags = {
  home: { value: 'DIR', summary: 'the folder of the identity (its wallet.json and what is remembered beside it)' },
  ...passphraseFlags('the passphrase that seals the wallet'),
} as const satisfies Record<string, Flag>

export type HomeFlags = { readonly home: string | undefined } & PassphraseFlags

export type Home = {
  readonly folder: string
  readonly wallet: string
  /** The registries this machine has met, with their keys. */
  readonly registries: string
  /** Addresses at which peers were reached. */
  readonly addresses: string
  /** Addresses of nodes of the distributed hash table. */
  readonly nodes: string
  /** What peers said of their own keys: rotations and revocations. */
  readonly statements: string
  /** How this identity came from earlier ones: what those signed when they were rotated. */
  readonly succession: string
  /** The wallet that a rotation is about to put in place. */
  readonly nextWallet: string
  /** Messages that came, a file each. */
  readonly inbox: string
  /** Mailbox items that are no messages for this identity. */
  readonly unreadable: string
  /** Files that came. */
  readonly downloads: string
  /** Whose files are taken. */
  readonly fileSenders: string
  /** Ids of messages that came lately. */
  readonly seen: string
  /** What was sent and received, as a ledger: `blockchain.json` in the folder. */
  readonly history: string
  /** What we witness for others: who they are (`peers`), and how far each ledger of theirs was seen. */
  readonly witness: string
  /** The registry's own wallet and records, when it is run from this folder. */
  readonly registry: string
}

/** The paths in `folder`. */
export function homeIn(folder: string): Home {
  const at = (name: string): string => join(folder, name)
  return {
    folder,
    wallet: at('wallet.json'),
    registries: at('registries.json'),
    addresses: at('addresses.json'),
    nodes: at('nodes.json'),
    statements: at('statements.json'),
    succession: at('succession.json'),
    nextWallet: at('wallet.next.json'),
    inbox: at('inbox'),
    unreadable: at('unreadable'),
    downloads: at('downloads'),
    fileSenders: at('file-senders.json'),
    seen: at('seen.db'),
    history: at('blockchain.json'),
    witness: at('witness'),
    registry: at('registry'),
  }
}

/**
 * The folder that a command works in: `--home`, else the one of the runbook's name, else `reach` among this person's state. A restore that was cut off there
 * is finished first.
 */
export function homeOf(context: Pick<Context, 'folders'>, flags: Pick<HomeFlags, 'home'>): Home {
  const folder = flags.home ?? context.folders.home ?? join(context.folders.state, 'reach')
  finishRestore(folder)
  return homeIn(folder)
}

/** What of a command's context opening a wallet may need: a sealed one asks whoever is at the terminal, and a key may be in ssh-agent. */
export type Opening = Pick<Context, 'folders' | 'env' | 'clock' | 'terminal' | 'stdin' | 'signal'>

/** What opens a wallet, as often as that is needed: the passphrase that the flags name, the keychain remembers, or somebody types, once; and ssh-agent. */
export function walletKeys(
  context: Omit<Opening, 'folders'>,
  flags: PassphraseFlags,
  path: string,
): WalletKeys & { readonly passphrase: () => Promise<Secret | undefined>; readonly agent: SshAgent } {
  let asked: Promise<Secret | undefined> | undefined
  const ask = () => walletPassphrase(context, flags, readWalletCard(path) ?? { name: path, keychain: undefined })
  return { passphrase: () => (asked ??= ask()), agent: sshAgent(context.clock, context.env['SSH_AUTH_SOCK']) }
}

/** Loads the wallet that the flags name; faults of `loadWallet`, and of asking. */
export async function openWallet(context: Opening, flags: HomeFlags): Promise<Wallet> {
  const { wallet } = homeOf(context, flags)
  return loadWallet(wallet, walletKeys(context, flags, wallet))
}

/**
 * The host of this identity for a process that only dials: the one that runs on this machine, which needs no passphrase, else one in this process that
 * listens nowhere. `opened` is the wallet, if that was needed before. Faults of `readWalletCard`, `loadWallet`, `openSharedHost`.
 */
export async function dialingHost(context: Opening & Pick<Context, 'log'>, flags: HomeFlags, opened?: Wallet): Promise<SharedHost> {
  const { clock, log, env } = context
  const { folder, wallet } = homeOf(context, flags)
  const card = readWalletCard(wallet)
  if (!card) throw walletFault.missing({ path: wallet })
  const { openSharedHost } = await import('../base/peer/host/shared-host.ts') // most commands dial nobody
  let opening = opened && Promise.resolve(opened)
  const identity = async () => (await (opening ??= openWallet(context, flags))).identity
  return openSharedHost({ peerId: card.peerId, identity, clock, log, proxyFor: proxiesOf(env) }, { folder, listen: [] })
}
