// Ends this identity, or one whose wallet was kept aside: what its key says counts no more, for anybody who learns of it.
import { faults } from '../../kernel/fault.ts'
import { loadWallet } from '../../base/identity/wallet.ts'
import { command } from '../../base/terminal/command.ts'
import { confirm, isPersonAt } from '../../base/terminal/confirm.ts'
import { addToHistory } from '../history.ts'
import { homeFlags, homeOf, walletKeys } from '../home.ts'
import { proxiesOf } from '../../base/peer/proxy.ts'
import { knownRegistries, serverText } from '../registry/known-registries.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { askRegistry } from '../registry/lookup.ts'
import { digestOf } from '../message/message.ts'
import { openStatement, signRevocation } from '../succession/statement.ts'

const fault = faults('revoke', {
  unconfirmed: (d: { peerId: string }) => ({
    kind: 'usage',
    message: `${d.peerId} was not revoked: nobody is at a terminal to say yes`,
    hint: 'say it with --yes; it cannot be taken back',
  }),
})

export default command({
  summary: 'end an identity for good: its key counts no more',
  description:
    'For a key that somebody else may have. It cannot be taken back. Hosts that use the same registry end the open sessions of the key within 10 seconds and let it in no more; who asks for it is told. A rotation of the key counts no more either, for whoever stole the key could have signed one: peers must be told the next id in another way.',
  flags: {
    reason: { value: 'TEXT', summary: 'what those who ask are told: at most 200 characters' },
    wallet: {
      value: 'FILE',
      summary: 'the wallet of the identity to end, such as one that a rotation kept aside; the one in use by default',
    },
    yes: { summary: 'do it without asking: needed where nobody is at a terminal' },
    server: {
      value: 'HOST[:PORT]',
      summary: 'the registry to publish it at; the last one registered with by default, else localhost:8765',
    },
    ...homeFlags,
  },
  examples: [
    ['fairlead reach revoke --reason "laptop stolen"', 'asks, then ends the identity in use'],
    ['fairlead reach revoke --wallet ~/.bmp/wallet.old-9hYp3xQz.json --yes', 'ends the key that was in use before a rotation'],
  ],
  async run(context, { flags }) {
    const { env, terminal, clock, log, signal, stdin } = context
    const home = homeOf(context, flags)
    const known = knownRegistries(home.registries)
    const server = known.choose(flags.server)
    const path = flags.wallet ?? home.wallet
    const { name, identity } = await loadWallet(path, walletKeys(context, flags, path))
    const { peerId } = identity
    const statements = knownStatements(home.statements)
    const before = statements.of(peerId)
    const isRevoked = before?.says === 'revoked'
    const statement = isRevoked ? before : openStatement(await signRevocation(identity, clock.now(), flags.reason))
    if (!isRevoked && !flags.yes) {
      if (!isPersonAt(stdin)) throw fault.unconfirmed({ peerId })
      if (!(await confirm(context, `End ${name} (${peerId}) for good? It cannot be taken back.`))) {
        terminal.result({ peerId, name, revoked: false }, () => 'nothing was revoked')
        return 1
      }
    }
    if (!isRevoked) {
      statements.add([statement])
      await addToHistory({ clock, log }, home, { event: 'revoked', peer: peerId, message: digestOf(statement.signed) })
    }
    const needs = { clock, log, known, proxyFor: proxiesOf(env) }
    await askRegistry(needs, server, (registry) => registry.announce(statement.signed), signal).catch((error: unknown) => {
      terminal.note('the revocation is signed, but not published: run the same command again when the registry answers')
      throw error
    })
    if (path === home.wallet)
      terminal.note('processes that run under it should be stopped; a new identity: fairlead reach init --name NAME --force')
    const result = { peerId, name, revoked: true, at: new Date(statement.at).toISOString(), registry: serverText(server) }
    terminal.result(result, () => `${name} (${peerId}) is revoked, as ${serverText(server)} now tells`)
    return 0
  },
})
