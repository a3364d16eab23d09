// Sends a message to a peer: "delivered" when the recipient has signed that it has it, else left in its mailbox at the registry, sealed.
import { command } from '../../base/terminal/command.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { followFlag } from '../finding/find-peer.ts'
import { dialingHost, homeFlags, homeOf, openWallet } from '../home.ts'
import { knownRegistries, serverText } from '../registry/known-registries.ts'
import { checkText } from '../message/message.ts'
import { searchFlags, searchesOf } from '../finding/searches.ts'
import { sendMessage } from '../message/sending.ts'

export default command({
  summary: 'send a message to a peer',
  description:
    'Encrypted and signed. It is delivered when the recipient’s signed receipt has come back; for that the recipient runs "reach listen", "agent" or "mcp-serve". If it cannot be reached, the message is left in its mailbox at the registry, sealed so that nobody else can read it, for up to 7 days. Neither one nor the other is exit code 5.',
  args: {
    peer: { summary: 'a whole peer id; or the beginning of one, or a name, if only one peer at the registry fits' },
    text: { summary: 'what to say: at most 32 KiB' },
  },
  flags: {
    server: { value: 'HOST[:PORT]', summary: 'the registry to ask; the last one registered with by default, else localhost:8765' },
    address: {
      value: 'MULTIADDR',
      repeat: true,
      summary: 'where the peer listens: the registry is asked only whether its key still counts, and no mailbox is used',
    },
    'no-mailbox': { summary: 'deliver it now, or not at all' },
    relay: { summary: 'go through the relay, even if there is a direct way' },
    ...searchFlags,
    'follow-rotations': followFlag,
    ...homeFlags,
  },
  examples: [
    ['fairlead reach send LinuxBox "the backup is done"', 'to the one peer of that name'],
    ['fairlead reach send 12D3KooWEx "hello" --server registry.example.org', 'to the one peer whose id begins so'],
    ['fairlead reach send LinuxBox "are you there?" --no-mailbox', 'exit code 5 if it is not'],
  ],
  async run(context, { args, flags }) {
    const { terminal, folders, clock, log, signal } = context
    const { peer, text } = args
    const home = homeOf({ folders }, flags)
    checkText(text) // what cannot be sent is said before anybody is asked
    const wallet = await openWallet(context, flags)
    const { identity } = wallet
    const host = await dialingHost(context, flags, wallet)
    try {
      const letter = {
        peer,
        text,
        addresses: flags.address ?? [],
        server: flags.server,
        isRelayed: flags.relay ?? false,
        mayWait: !flags['no-mailbox'],
        searches: searchesOf({ host, home, clock }, flags, knownRegistries(home.registries).choose(flags.server)),
        followRotations: flags['follow-rotations'],
      }
      const followed = (from: string, to: string) => terminal.note(`${from} is now ${to}: following its rotation`)
      const sent = await sendMessage({ identity, host, home, clock, log, followed }, letter, signal)
      const { to, id } = sent
      if (sent.is === 'delivered') {
        const receivedAt = new Date(sent.receivedAt).toISOString()
        return terminal.result({ delivered: true, mailbox: false, to, id, receivedAt }, () => `delivered to ${to}`)
      }
      const registry = serverText(knownRegistries(home.registries).choose(flags.server))
      const expiresAt = new Date(sent.expiresAt).toISOString()
      const who = peer === to ? to : `${visibleText(peer)} (${to})`
      terminal.note(sent.why)
      return terminal.result(
        { delivered: false, mailbox: true, to, id, registry, expiresAt, why: sent.why },
        () => `left in the mailbox of ${who} at ${registry}, sealed; it is fetched when that peer is there again, and expires ${expiresAt}`,
      )
    } finally {
      await host.close()
    }
  },
})
