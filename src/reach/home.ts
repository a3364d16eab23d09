// The folder of one identity (`~/.bmp` under the runbook's names): where its wallet lies and what this machine remembers beside it.
import { join } from 'node:path'
import type { Secret } from '../kernel/secret.ts'
import { credentialInFile } from '../base/config/credential-file.ts'
import { type Wallet, loadWallet, readWalletCard, fault as walletFault } from '../base/identity/wallet.ts'
import type { SharedHost } from '../base/peer/shared-host.ts'
import type { Context, Flag } from '../base/terminal/command.ts'

/** Flags that every command of reach takes. */
export const homeFlags = {
  home: { value: 'DIR', summary: 'the folder of the identity (its wallet.json and what is remembered beside it)' },
  'passphrase-file': { value: 'FILE', summary: 'a file with the passphrase that seals the wallet' },
} as const satisfies Record<string, Flag>

export type HomeFlags = { readonly home: string | undefined; readonly 'passphrase-file': string | undefined }

export type Home = {
  readonly folder: string
  readonly wallet: string
  /** The registries this machine has met, with their keys. */
  readonly registries: string
  /** Addresses at which peers were reached. */
  readonly addresses: string
  /** What peers said of their own keys: rotations and revocations. */
  readonly statements: string
  /** How this identity came from earlier ones: what those signed when they were rotated. */
  readonly succession: string
  /** The wallet that a rotation is about to put in place. */
  readonly nextWallet: string
  /** Messages that came, a file each. */
  readonly inbox: string
  /** Ids of messages that came lately. */
  readonly seen: string
  /** What was sent and received, as a ledger: `blockchain.json` in the folder. */
  readonly history: string
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
    statements: at('statements.json'),
    succession: at('succession.json'),
    nextWallet: at('wallet.next.json'),
    inbox: at('inbox'),
    seen: at('seen.db'),
    history: at('blockchain.json'),
    registry: at('registry'),
  }
}

/** The folder that a command works in: `--home`, else the one of the runbook's name, else `reach` among this person's state. */
export function homeOf(context: Pick<Context, 'folders'>, flags: HomeFlags): Home {
  return homeIn(flags.home ?? context.folders.home ?? join(context.folders.state, 'reach'))
}

/** The passphrase that the flags name, from a file that nobody else can read; faults of `credentialInFile`. */
export function passphraseOf(flags: HomeFlags): Secret | undefined {
  const path = flags['passphrase-file']
  return path === undefined ? undefined : credentialInFile(path)
}

/** Loads the wallet that the flags name; faults of `loadWallet`. */
export function openWallet(context: Pick<Context, 'folders'>, flags: HomeFlags): Promise<Wallet> {
  return loadWallet(homeOf(context, flags).wallet, passphraseOf(flags))
}

/**
 * The host of this identity for a process that only dials: the one that runs on this machine, which needs no passphrase, else one in this process that
 * listens nowhere. Faults of `readWalletCard`, `loadWallet`, `openSharedHost`.
 */
export async function dialingHost(context: Pick<Context, 'folders' | 'clock' | 'log'>, flags: HomeFlags): Promise<SharedHost> {
  const { clock, log } = context
  const { folder, wallet } = homeOf(context, flags)
  const card = readWalletCard(wallet)
  if (!card) throw walletFault.missing({ path: wallet })
  const { openSharedHost } = await import('../base/peer/shared-host.ts') // most commands dial nobody
  const identity = async () => (await openWallet(context, flags)).identity
  return openSharedHost({ peerId: card.peerId, identity, clock, log }, { folder, listen: [] })
}
