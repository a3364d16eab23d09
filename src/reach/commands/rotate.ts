// Gives this identity a new key, signed by the old one.
import { asFault } from '../../kernel/fault.ts'
import { peerIdOf } from '../../base/identity/identity.ts'
import { chooseKey } from '../../base/identity/ssh-agent.ts'
import { loadWallet, readWalletCard } from '../../base/identity/wallet.ts'
import { type Context, command } from '../../base/terminal/command.ts'
import { type Home, homeFlags, homeOf, walletKeys } from '../home.ts'
import { proxiesOf } from '../../base/peer/proxy.ts'
import { knownRegistries, parseServer, serverText } from '../registry/known-registries.ts'
import { tryToVisitMailbox } from '../mailbox/visit.ts'
import { oldWalletPath, rotate } from '../succession/rotation.ts'
import { rotationRegistry } from '../succession/rotation-registry.ts'

/** How long running processes may take to go over to the new identity before we say that they did not. */
const patienceMs = 5_000
const lookEveryMs = 100

export default command({
  summary: 'give this identity a new key, signed by the old one',
  description:
    'Both keys sign that the new one takes the place of the old one; peers learn it from the registry and from this machine, and go on to it if their owners allow that ("--follow-rotations"). The old wallet is kept aside. Processes that run under the identity go over by themselves. When it is stopped on the way, run it again: it goes on. For a key that somebody else may have: see "fairlead reach revoke".',
  flags: {
    'ssh-agent': {
      value: 'KEY',
      summary:
        'rotate to the Ed25519 key in ssh-agent with this comment or fingerprint (SHA256:…), as is needed where the old one is there',
    },
    server: { value: 'HOST[:PORT]', summary: 'the registry to make it known at; the last one registered with by default' },
    ...homeFlags,
  },
  examples: [['fairlead reach rotate', 'a new key and peer id, known at the registry used last']],
  async run(context, { flags }) {
    const { env, terminal, clock, log, signal } = context
    const home = homeOf(context, flags)
    const known = knownRegistries(home.registries)
    const server = flags.server === undefined ? known.last() : parseServer(flags.server)
    const proxyFor = proxiesOf(env)
    const registry = server && rotationRegistry({ clock, log, known, proxyFor, signal }, server)
    const keys = walletKeys(context, flags, home.wallet)
    const wanted = flags['ssh-agent']
    const inAgent = wanted === undefined ? undefined : peerIdOf((await chooseKey(keys.agent, wanted)).publicKey)
    const isRunning = (await hostOf(context, home)) !== undefined
    if (server) {
      const identity = async () => (await loadWallet(home.wallet, keys)).identity // what was left for the old key is opened by it alone
      await tryToVisitMailbox({ home, identity, clock, log, proxyFor }, server, signal, (text) => terminal.note(text))
    }
    const { input, isResumed } = await rotate({ home, keys, inAgent, registry, clock, log }).catch((error: unknown) => {
      const card = asFault(error).code === 'steps.stuck' ? readWalletCard(home.wallet) : undefined
      if (card) terminal.note(`${card.name} is ${card.peerId} here, but that is not known at the registry yet`)
      throw error
    })
    const card = readWalletCard(home.wallet)!
    const oldWallet = oldWalletPath(home, input.old)
    const running = isRunning ? await hostOf(context, home, card.peerId) : undefined
    if (isResumed) terminal.note('a rotation that was stopped earlier is now done')
    if (!server) terminal.note('no registry was used so far: the next "fairlead reach register" or "agent" makes it known there')
    if (running === input.old) terminal.note(`the process that listens still is ${input.old}: start it again`)
    terminal.note('peers that allow the old id and do not follow rotations must be told the new one')
    const result = {
      name: card.name,
      peerId: card.peerId,
      rotatedFrom: input.old,
      rotatedAt: new Date(input.at).toISOString(),
      wallet: home.wallet,
      oldWallet,
      ...(server ? { registry: serverText(server) } : {}),
      ...(running === undefined ? {} : { running }),
    }
    terminal.result(result, () =>
      [
        `name          ${card.name}`,
        `peer id       ${terminal.style.bold(card.peerId)}`,
        `rotated from  ${input.old}`,
        `old wallet    ${oldWallet}`,
        `registry      ${server ? serverText(server) : 'none yet'}`,
      ].join('\n'),
    )
  },
})

/** The identity of the process that listens for this home: at once, or when it has become `awaited`, or did not in time. Undefined when there is none. */
async function hostOf({ clock, signal }: Context, { folder }: Home, awaited?: string): Promise<string | undefined> {
  const { hostIdentity } = await import('../../base/peer/host/shared-host.ts')
  const until = clock.mono() + patienceMs
  for (;;) {
    const found = await hostIdentity(clock, folder).catch(() => undefined)
    if (awaited === undefined || found === awaited || clock.mono() > until) return found
    await clock.wait(lookEveryMs, signal)
  }
}
