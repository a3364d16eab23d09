// Writes all that makes up an identity into one sealed file.
import { resolve } from 'node:path'
import { statOf, writeWhole } from '../../kernel/file.ts'
import { type AgeSeal, ageSeal } from '../../base/identity/age.ts'
import { readWalletCard, fault as walletFault } from '../../base/identity/wallet.ts'
import { sizeText } from '../../base/terminal/amount.ts'
import { type Context, command } from '../../base/terminal/command.ts'
import { makeBackup } from '../backup/backup.ts'
import { fault } from '../faults.ts'
import { homeFlags, homeOf } from '../home.ts'
import { type PassphraseFlags, namedPassphrase, newPassphrase, passphraseFlags } from '../passphrase.ts'
import { lockBackup } from '../backup/restore.ts'

export default command({
  summary: 'write a sealed backup of the identity',
  description:
    'Wallet, trusted keys, inbox, history and the memory of message ids, as they are at one moment; what runs goes on. The file is a tar archive in the age format: ' +
    '"age -d FILE | tar t" lists it. A wallet that a passphrase seals stays sealed in it. Received files (downloads) are not in it, nor is a key in ssh-agent, nor what lies in other folders.',
  args: { file: { summary: 'the file to write' } },
  flags: {
    recipient: { value: 'AGE1…', repeat: true, summary: 'seal it for the owner of this age key, instead of with a passphrase' },
    force: { summary: 'replace the file that is there' },
    home: homeFlags.home,
    ...passphraseFlags('the passphrase of the backup'),
  },
  examples: [
    ['fairlead reach backup laptop.age', 'asks for a passphrase, twice'],
    [
      'fairlead reach backup laptop.age --recipient age1exampleexampleexampleexampleexampleexampleexampleexample',
      'for the owner of that key',
    ],
  ],
  async run(context, { args, flags }) {
    const { terminal, clock } = context
    const path = resolve(args.file)
    const { folder, wallet } = homeOf(context, flags)
    const card = readWalletCard(wallet)
    if (!card) throw walletFault.missing({ path: wallet })
    if (statOf(path) && !flags.force) throw fault.backup_exists({ path })
    const to = await sealOf(context, flags)
    using _ = lockBackup(folder)
    terminal.progress('reading')
    const { archive, manifest } = await makeBackup(folder, card, clock.now())
    terminal.progress('sealing')
    const sealed = await ageSeal(archive, to)
    writeWhole(path, sealed, 0o600)
    terminal.done()
    for (const { name, problem } of manifest.leftOut) terminal.note(`left out: ${name}: ${problem}`)
    if (card.isInAgent) terminal.note('the key itself is in ssh-agent, and not in this backup: keep a copy of it elsewhere')
    const { name, peerId, leftOut } = manifest
    const result = { file: path, sizeBytes: sealed.length, name, peerId, files: manifest.files.length, leftOut, hasKey: !card.isInAgent }
    terminal.result(
      result,
      () =>
        `${name} (${peerId}): ${manifest.files.length} ${manifest.files.length === 1 ? 'file' : 'files'} in ${path}, ${sizeText(sealed.length)}`,
    )
  },
})

async function sealOf(context: Context, flags: PassphraseFlags & { readonly recipient: readonly string[] }): Promise<AgeSeal> {
  if (flags.recipient.length > 0) {
    if (namedPassphrase(context, flags)) throw fault.two_seals({})
    return { recipients: flags.recipient }
  }
  const hint = 'name where it is kept (--passphrase-file FILE, or --passphrase-env NAME), or the age key to seal it for (--recipient AGE1…)'
  return { passphrase: await newPassphrase(context, flags, 'a passphrase for the backup', hint) }
}
