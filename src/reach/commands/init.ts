// Makes the identity of this person or machine: one key, one peer id, one wallet file.
import { newItem } from '../../base/identity/keychain.ts'
import { agentIdentity, chooseKey, fingerprintOf, sshAgent } from '../../base/identity/ssh-agent.ts'
import { type CreateWalletSettings, createWallet } from '../../base/identity/wallet.ts'
import { type Context, command } from '../../base/terminal/command.ts'
import { fault } from '../faults.ts'
import { type HomeFlags, homeFlags, homeOf } from '../home.ts'
import { keychainOf, namedPassphrase, newPassphrase } from '../passphrase.ts'

export default command({
  summary: 'make an identity: a key, a peer id and a wallet file',
  description:
    'A wallet that is there is never overwritten, unless --force says so; then the old one is kept aside. The key lies in the wallet, sealed if there is a ' +
    'passphrase, which the keychain of the system may remember; or it stays in ssh-agent, and the wallet only names it. What needs the key itself is not possible then: it cannot be backed up, and nothing that was sealed to it can be opened.',
  flags: {
    name: { value: 'NAME', required: true, summary: 'what others see beside the peer id, such as a role or a machine' },
    passphrase: { summary: 'seal the key with a passphrase, which is asked for' },
    keychain: { summary: 'seal it so, and have the keychain of this system (Secret Service, macOS) remember the passphrase' },
    'ssh-agent': {
      value: 'KEY',
      mayBeBare: true,
      summary: 'use the Ed25519 key in ssh-agent with this comment or fingerprint (SHA256:…), or the only one',
    },
    force: { summary: 'replace the identity that is there' },
    ...homeFlags,
  },
  examples: [
    ['fairlead reach init --name "LinuxBox"', 'a new identity with the name LinuxBox'],
    ['fairlead reach init --name "Workstation" --passphrase', 'its key sealed with a passphrase, typed twice'],
    ['fairlead reach init --name "Workstation" --keychain', 'typed twice now, and never again on this machine'],
    ['fairlead reach init --name "Workstation" --ssh-agent fairlead', 'its key stays in ssh-agent, where its comment is "fairlead"'],
    ['fairlead reach init --name "LinuxBox" --force', 'another identity; the wallet of the old one is kept aside'],
  ],
  async run(context, { flags }) {
    const { terminal, clock } = context
    const { wallet: path } = homeOf(context, flags)
    const key = await keyOf(context, flags)
    const { name, identity, keptAside } = await createWallet(path, {
      name: flags.name,
      ...(flags.force ? { replaceAt: clock.now() } : {}),
      ...key,
    }).catch(async (error: unknown) => {
      if (key.keychain !== undefined)
        await keychainOf(context)
          .remove(key.keychain)
          .catch(() => {}) // no wallet names it
      throw error
    })
    if (keptAside !== undefined) terminal.note(`the old wallet is kept as ${keptAside}`)
    if (!key.passphrase && !key.isInAgent) terminal.note(`keep ${path} secret and keep a copy: whoever holds it is ${name}`)
    const agentKey = key.isInAgent ? fingerprintOf(identity.publicKey) : undefined
    const result = { name, peerId: identity.peerId, wallet: path, agentKey, isInKeychain: key.keychain !== undefined, keptAside }
    terminal.result(result, () =>
      [
        `name     ${name}`,
        `peer id  ${terminal.style.bold(identity.peerId)}`,
        `wallet   ${path}`,
        ...(agentKey === undefined ? [] : [`key      ${agentKey} in ssh-agent`]),
        ...(key.keychain === undefined ? [] : ['key      sealed; the keychain remembers the passphrase']),
      ].join('\n'),
    )
  },
})

type KeyFlags = HomeFlags & {
  readonly name: string
  readonly passphrase: boolean
  readonly keychain: boolean
  readonly 'ssh-agent': string | undefined
}

/** What `createWallet` is told of the key. */
async function keyOf(
  context: Context,
  flags: KeyFlags,
): Promise<Pick<CreateWalletSettings, 'identity' | 'isInAgent' | 'passphrase' | 'keychain'>> {
  const { env, clock } = context
  const wanted = flags['ssh-agent']
  if (wanted !== undefined) {
    if (flags.passphrase || flags.keychain || namedPassphrase(context, flags)) throw fault.agent_seals({})
    const agent = sshAgent(clock, env['SSH_AUTH_SOCK'])
    const { publicKey } = await chooseKey(agent, wanted)
    return { identity: await agentIdentity(agent, publicKey), isInAgent: true }
  }
  if (!flags.passphrase && !flags.keychain) return { passphrase: namedPassphrase(context, flags) }
  const hint = 'name where it is kept: --passphrase-file FILE, or --passphrase-env NAME'
  const passphrase = await newPassphrase(context, flags, `a passphrase for ${flags.name}`, hint)
  if (!flags.keychain) return { passphrase }
  const keychain = newItem()
  await keychainOf(context).store(keychain, `Fairlead: ${flags.name}`, passphrase) // first: a wallet never names what is not there
  return { passphrase, keychain }
}
