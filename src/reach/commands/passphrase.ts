// Seals the key of a wallet with a passphrase, with another one, or with none.
import { fault as agentFault } from '../../base/identity/ssh-agent.ts'
import { loadWallet, readWalletCard, resealWallet, fault as walletFault } from '../../base/identity/wallet.ts'
import { command } from '../../base/terminal/command.ts'
import { readText } from '../../kernel/file.ts'
import { fault } from '../faults.ts'
import { homeFlags, homeOf, walletKeys } from '../home.ts'
import { namedPassphrase, newPassphrase } from '../passphrase.ts'

export default command({
  summary: 'add, change or remove the passphrase that seals the wallet',
  description:
    'Asks for the present one, if there is one, and twice for the new one. The identity stays the same, and what runs goes on. Copies of the wallet that were made before, ' +
    'backups and wallets kept aside among them, stay as they are.',
  flags: {
    remove: { summary: 'no passphrase: only the mode of the file (0600) keeps the key then' },
    'new-passphrase-file': { value: 'FILE', summary: 'a file (mode 0600) with the new passphrase; at a terminal it is asked' },
    'new-passphrase-env': { value: 'NAME', summary: 'or the environment variable that holds it' },
    ...homeFlags,
  },
  examples: [
    ['fairlead reach passphrase', 'add one, or change it'],
    ['fairlead reach passphrase --remove --passphrase-file secret.txt', 'remove the one in that file'],
  ],
  async run(context, { flags }) {
    const { wallet: path } = homeOf(context, flags)
    const next = { 'passphrase-file': flags['new-passphrase-file'], 'passphrase-env': flags['new-passphrase-env'] }
    if (flags.remove && (next['passphrase-file'] ?? next['passphrase-env']) !== undefined) throw fault.remove_or_set({})
    const before = readText(path)
    const card = readWalletCard(path)
    if (!card || before === undefined) throw walletFault.missing({ path })
    if (card.isInAgent) throw agentFault.key_stays(card)
    if (card.isSealed) namedPassphrase(context, next) // what cannot be had is said before anybody types
    const wallet = await loadWallet(path, walletKeys(context, flags, path))
    const hint = 'name where the new one is kept: --new-passphrase-file FILE, or --new-passphrase-env NAME'
    const passphrase = flags.remove ? undefined : await newPassphrase(context, next, `a new passphrase for ${card.name}`, hint)
    await resealWallet(path, wallet, before, passphrase)
    const result = { name: card.name, peerId: card.peerId, wallet: path, wasSealed: card.isSealed, isSealed: passphrase !== undefined }
    context.terminal.result(result, () => (passphrase ? `${path} is sealed` : `${path} is not sealed any more`))
  },
})
