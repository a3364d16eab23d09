// Where a passphrase comes from: a file or a variable that the flags name, or a person at the terminal. Never argv.
import { asFault } from '../kernel/fault.ts'
import type { Secret } from '../kernel/secret.ts'
import { credentialInFile, secretOf, fault as credentialFault } from '../base/config/credential-file.ts'
import { type Keychain, keychain } from '../base/identity/keychain.ts'
import type { WalletCard } from '../base/identity/wallet.ts'
import { askNewSecret, askSecret, needPerson } from '../base/terminal/ask-secret.ts'
import type { Context, Flag } from '../base/terminal/command.ts'
import { isPersonAt } from '../base/terminal/confirm.ts'
import { fault } from './faults.ts'

/** The flags that name where `what` is kept. */
export function passphraseFlags(what: string) {
  return {
    'passphrase-file': { value: 'FILE', summary: `a file (mode 0600) with ${what}; at a terminal it is asked` },
    'passphrase-env': { value: 'NAME', summary: 'or the environment variable that holds it' },
  } as const satisfies Record<string, Flag>
}

export type PassphraseFlags = { readonly 'passphrase-file': string | undefined; readonly 'passphrase-env': string | undefined }

type Asking = Pick<Context, 'env' | 'terminal' | 'stdin' | 'signal'>

/** The passphrase that the flags name. Faults `credential.*` for a file that others can read, or where there is none; `reach.one_passphrase`. */
export function namedPassphrase({ env }: Pick<Context, 'env'>, flags: PassphraseFlags): Secret | undefined {
  const { 'passphrase-file': path, 'passphrase-env': name } = flags
  if (path !== undefined && name !== undefined) throw fault.one_passphrase({})
  if (path !== undefined) return credentialInFile(path)
  if (name === undefined) return undefined
  const text = env[name]
  if (!text) throw credentialFault.no_variable({ name })
  return secretOf(text, `the environment variable ${name}`)
}

/** The passphrase that the flags name, else the one that a person types; undefined where there is nobody to ask. */
export async function passphraseOr(context: Asking, flags: PassphraseFlags, question: string): Promise<Secret | undefined> {
  return namedPassphrase(context, flags) ?? (isPersonAt(context.stdin) ? askSecret(context, question) : undefined)
}

/** How long somebody at the terminal may take to unlock the keychain, so that it can keep something. */
const unlockMs = 60_000

/** The keychain of this machine, in the session that the command runs in. */
export function keychainOf({ env, stdin }: Pick<Context, 'env' | 'stdin'>): Keychain {
  return keychain({ env, platform: process.platform }, isPersonAt(stdin) ? { storeMs: unlockMs } : {})
}

/**
 * The passphrase of a wallet: the one that the flags name, else the one that the keychain remembers, else the one that a person types; undefined where there is
 * nobody to ask. Faults `keychain.*` when it is said to be there, cannot be had, and nobody can be asked.
 */
export async function walletPassphrase(
  context: Asking,
  flags: PassphraseFlags,
  card: Pick<WalletCard, 'name' | 'keychain'>,
): Promise<Secret | undefined> {
  const named = namedPassphrase(context, flags)
  if (named) return named
  if (card.keychain !== undefined) {
    try {
      return await keychainOf(context).lookup(card.keychain)
    } catch (error) {
      if (!isPersonAt(context.stdin)) throw error
      context.terminal.note(asFault(error).message)
    }
  }
  return passphraseOr(context, flags, `passphrase of ${card.name}`)
}

/** The passphrase that must be known: the one that the flags name, else the one that a person types. Fault `passphrase.nobody_to_ask`. */
export async function knownPassphrase(context: Asking, flags: PassphraseFlags, question: string, hint: string): Promise<Secret> {
  const named = namedPassphrase(context, flags)
  if (named) return named
  needPerson(context, hint)
  return askSecret(context, question)
}

/** A passphrase that is to be set: the one that the flags name, else one that is typed twice. Fault `passphrase.nobody_to_ask`. */
export async function newPassphrase(context: Asking, flags: PassphraseFlags, question: string, hint: string): Promise<Secret> {
  const named = namedPassphrase(context, flags)
  if (named) return named
  needPerson(context, hint)
  return askNewSecret(context, question)
}
