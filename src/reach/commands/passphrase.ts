// Seals the key of a wallet with a passphrase, with another one, or with none; and has the keychain of the system remember it, or forget it.
import { asFault } from '../../kernel/fault.ts'
import { readText } from '../../kernel/file.ts'
import type { Secret } from '../../kernel/secret.ts'
import { newItem } from '../../base/identity/keychain.ts'
import { fault as agentFault } from '../../base/identity/ssh-agent.ts'
import { type WalletCard, loadWallet, readWalletCard, resealWallet, fault as walletFault } from '../../base/identity/wallet.ts'
import { type Context, command } from '../../base/terminal/command.ts'
import { fault } from '../faults.ts'
import { type HomeFlags, homeFlags, homeOf, walletKeys } from '../home.ts'
import { keychainOf, namedPassphrase, newPassphrase } from '../passphrase.ts'

export default command({
  summary: 'add, change or remove the passphrase that seals the wallet',
  description:
    'Asks for the present one, if there is one, and twice for the new one. The identity stays the same, and what runs goes on. Copies of the wallet that were made before, ' +
    'backups and wallets kept aside among them, stay as they are. With --keychain or --forget a passphrase that is there already stays, unless another one is named.',
  flags: {
    remove: { summary: 'no passphrase: only the mode of the file (0600) keeps the key then' },
    keychain: { summary: 'have the keychain of this system (Secret Service, macOS) remember it, so that it is asked no more here' },
    forget: { summary: 'have the keychain forget it, so that it is asked again' },
    'new-passphrase-file': { value: 'FILE', summary: 'a file (mode 0600) with the new passphrase; at a terminal it is asked' },
    'new-passphrase-env': { value: 'NAME', summary: 'or the environment variable that holds it' },
    ...homeFlags,
  },
  examples: [
    ['fairlead reach passphrase', 'add one, or change it'],
    ['fairlead reach passphrase --keychain', 'type it once more, and then the keychain remembers it'],
    ['fairlead reach passphrase --remove --passphrase-file secret.txt', 'remove the one in that file'],
  ],
  async run(context, { flags }) {
    const { wallet: path } = homeOf(context, flags)
    const { remove, keychain: remember, forget } = flags
    const next = { 'passphrase-file': flags['new-passphrase-file'], 'passphrase-env': flags['new-passphrase-env'] }
    const isNamed = (next['passphrase-file'] ?? next['passphrase-env']) !== undefined
    if (remove && isNamed) throw fault.remove_or_set({})
    if ([remove, remember, forget].filter(Boolean).length > 1) throw fault.one_keeping({})
    const before = readText(path)
    const card = readWalletCard(path)
    if (!card || before === undefined) throw walletFault.missing({ path })
    if (card.isInAgent) throw agentFault.key_stays(card)
    if (forget && card.keychain === undefined) throw fault.not_in_keychain({ path })
    if (card.isSealed) namedPassphrase(context, next) // what cannot be had is said before anybody types
    const keys = walletKeys(context, flags, path)
    const wallet = await loadWallet(path, keys)
    const stays = card.isSealed && !isNamed && (remember || forget)
    const passphrase = remove ? undefined : stays ? await keys.passphrase() : await newOne(context, next, card)
    const item = passphrase && !forget && (remember || card.keychain !== undefined) ? newItem() : undefined
    const keychain = keychainOf(context)
    if (passphrase && item !== undefined) await keychain.store(item, `Fairlead: ${card.name}`, passphrase) // first: a wallet never names what is not there
    await resealWallet(path, wallet, before, passphrase && { passphrase, keychain: item })
    if (card.keychain !== undefined)
      await keychain
        .remove(card.keychain)
        .catch((error: unknown) =>
          context.terminal.note(`the keychain may still hold what it remembered before: ${asFault(error).message}`),
        )
    const result = {
      name: card.name,
      peerId: card.peerId,
      wallet: path,
      wasSealed: card.isSealed,
      isSealed: passphrase !== undefined,
      isInKeychain: item !== undefined,
    }
    const how = item === undefined ? 'is sealed' : 'is sealed, and the keychain remembers the passphrase'
    context.terminal.result(result, () => `${path} ${passphrase ? how : 'is not sealed any more'}`)
  },
})

function newOne(
  context: Context,
  next: Pick<HomeFlags, 'passphrase-file' | 'passphrase-env'>,
  { name }: Pick<WalletCard, 'name'>,
): Promise<Secret> {
  const hint = 'name where the new one is kept: --new-passphrase-file FILE, or --new-passphrase-env NAME'
  return newPassphrase(context, next, `a new passphrase for ${name}`, hint)
}
