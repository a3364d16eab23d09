// Makes the identity of this person or machine: one key, one peer id, one wallet file.
import { command } from '../../base/terminal/command.ts'
import { readWalletCard, createWallet } from '../../base/identity/wallet.ts'
import { readText, removeFile, writeWhole } from '../../kernel/file.ts'
import { homeFlags, homeOf, passphraseOf } from '../home.ts'

export default command({
  summary: 'make an identity: a key, a peer id and a wallet file',
  description: 'A wallet that is there is never overwritten, unless --force says so; then the old one is kept aside.',
  flags: {
    name: { value: 'NAME', required: true, summary: 'what others see beside the peer id, such as a role or a machine' },
    force: { summary: 'replace the identity that is there' },
    ...homeFlags,
  },
  examples: [
    ['fairlead reach init --name "LinuxBox"', 'a new identity with the name LinuxBox'],
    ['fairlead reach init --name "LinuxBox" --force', 'another identity; the wallet of the old one is kept aside'],
  ],
  async run({ terminal, folders, clock }, { flags }) {
    const { wallet: path } = homeOf({ folders }, flags)
    const passphrase = passphraseOf(flags)
    const aside = flags.force ? keepAside(path, clock.now()) : undefined
    const { name, identity } = await createWallet(path, { name: flags.name, force: flags.force, ...(passphrase ? { passphrase } : {}) })
    if (aside !== undefined) {
      removeFile(`${path}.old`) // the same wallet; under a name with a time no later one replaces it
      terminal.note(`the old wallet is kept as ${aside}`)
    }
    if (!readWalletCard(path)?.isSealed) terminal.note(`keep ${path} secret and keep a copy: whoever holds it is ${name}`)
    const result = { name, peerId: identity.peerId, wallet: path, ...(aside === undefined ? {} : { keptAside: aside }) }
    terminal.result(result, () => [`name     ${name}`, `peer id  ${terminal.style.bold(identity.peerId)}`, `wallet   ${path}`].join('\n'))
  },
})

/** Copies the wallet beside itself, under the UTC time; undefined when there is none. */
function keepAside(path: string, now: number): string | undefined {
  const wallet = readText(path)
  if (wallet === undefined) return undefined
  const aside = `${path}.${new Date(now).toISOString().replaceAll(/[-:]/g, '')}`
  writeWhole(aside, wallet, 0o600)
  return aside
}
