// Puts an identity back from a sealed backup: all of it, or nothing.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { statOf } from '../../kernel/file.ts'
import { credentialInFile } from '../../base/config/credential-file.ts'
import { type AgeKey, fault as ageFault, ageKind, ageOpen } from '../../base/identity/age.ts'
import { readWalletCard, fault as walletFault } from '../../base/identity/wallet.ts'
import { type Context, command } from '../../base/terminal/command.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { type Manifest, maxBackupBytes, openBackup } from '../backup/backup.ts'
import { fault } from '../faults.ts'
import { homeFlags, homeOf } from '../home.ts'
import { type PassphraseFlags, knownPassphrase, passphraseFlags } from '../passphrase.ts'
import { lockBackup, lockHost, restoreHome } from '../backup/restore.ts'

/** What sealing and the archive add is far less. */
const maxFileBytes = 2 * maxBackupBytes

export default command({
  summary: 'put an identity back from a backup',
  description:
    'Everything in it is checked before anything is replaced, and everything is replaced or nothing: a restore that was cut off is finished by the next command. ' +
    'With --force what is there is kept aside in a folder of its own. Stop what works with the identity first, on the old machine too.',
  args: { file: { summary: 'a file that "fairlead reach backup" made' } },
  flags: {
    list: { summary: 'show whose it is and what is in it, and change nothing' },
    force: { summary: 'replace the identity that is there' },
    'age-key': { value: 'FILE', summary: 'a file (mode 0600) with the age key that the backup was sealed for' },
    home: homeFlags.home,
    ...passphraseFlags('the passphrase of the backup'),
  },
  examples: [
    ['fairlead reach restore laptop.age --list', 'whose is it?'],
    ['fairlead reach restore laptop.age', 'on a machine without an identity'],
    ['fairlead reach restore laptop.age --age-key key.txt --force', 'instead of the identity that is there'],
  ],
  async run(context, { args, flags }) {
    const { terminal, clock } = context
    const path = resolve(args.file)
    const { folder, wallet } = homeOf(context, flags)
    const sealed = readSealed(path)
    if (!flags.list && !flags.force && statOf(wallet)) throw walletFault.exists({ path: wallet, peerId: readWalletCard(wallet)?.peerId })
    const key = await keyOf(context, flags, sealed, path)
    terminal.progress('opening')
    const backup = openBackup(await ageOpen(sealed, key, path))
    terminal.done()
    const { manifest } = backup
    if (flags.list) return terminal.result(manifest, () => listText(manifest))
    using _host = lockHost(folder)
    using _backup = lockBackup(folder)
    const { keptAside } = restoreHome(folder, backup, clock.now())
    if (keptAside !== undefined) terminal.note(`what was there is kept as ${keptAside}`)
    terminal.note('one identity is for one machine at a time: if the old one still runs, stop it there')
    const { name, peerId, madeAt, leftOut } = manifest
    const result = { name, peerId, folder, madeAt, files: manifest.files.length, leftOut, keptAside }
    terminal.result(result, () => visibleText(`${name} (${peerId}) is back in ${folder}, as of ${madeAt}`))
  },
})

function readSealed(path: string): Uint8Array {
  const stat = statOf(path)
  if (!stat?.isFile()) throw fault.backup_missing({ path })
  if (stat.size > maxFileBytes) throw fault.backup_too_large({ sizeBytes: stat.size, limitBytes: maxFileBytes })
  return readFileSync(path)
}

type KeyFlags = PassphraseFlags & { readonly 'age-key': string | undefined }

async function keyOf(context: Context, flags: KeyFlags, sealed: Uint8Array, path: string): Promise<AgeKey> {
  const kind = ageKind(sealed)
  if (kind === undefined) throw ageFault.not_age({ what: path })
  if (kind === 'key') {
    if (flags['age-key'] === undefined) throw fault.age_key_needed({})
    return { keys: credentialInFile(flags['age-key']) }
  }
  const hint = 'name where it is kept: --passphrase-file FILE, or --passphrase-env NAME'
  return { passphrase: await knownPassphrase(context, flags, 'passphrase of the backup', hint) }
}

function listText({ name, peerId, madeAt, files, leftOut }: Manifest): string {
  const width = Math.max(0, ...files.map(({ sizeBytes }) => String(sizeBytes).length))
  return visibleText(
    [
      `${name} (${peerId}), as of ${madeAt}`,
      ...files.map((file) => `  ${String(file.sizeBytes).padStart(width)}  ${file.name}`),
      ...leftOut.map((left) => `  left out: ${left.name}: ${left.problem}`),
    ].join('\n'),
  )
}
