// Makes the identity of this person or machine: one key, one peer id, one wallet file.
import { command } from '../../base/terminal/command.ts'
import { readWalletCard, createWallet } from '../../base/identity/wallet.ts'
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
    const { name, identity, keptAside } = await createWallet(path, {
      name: flags.name,
      ...(flags.force ? { replaceAt: clock.now() } : {}),
      ...(passphrase ? { passphrase } : {}),
    })
    if (keptAside !== undefined) terminal.note(`the old wallet is kept as ${keptAside}`)
    if (!readWalletCard(path)?.isSealed) terminal.note(`keep ${path} secret and keep a copy: whoever holds it is ${name}`)
    const result = { name, peerId: identity.peerId, wallet: path, ...(keptAside === undefined ? {} : { keptAside }) }
    terminal.result(result, () => [`name     ${name}`, `peer id  ${terminal.style.bold(identity.peerId)}`, `wallet   ${path}`].join('\n'))
  },
})
