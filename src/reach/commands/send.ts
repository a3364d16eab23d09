// Sends a message to a peer, and says "delivered" when the recipient has signed that it has it.
import { type Fault, asFault } from '../../kernel/fault.ts'
import { command } from '../../base/terminal/command.ts'
import { fault } from '../faults.ts'
import { followFlag, inRunbookWords, peerDial } from '../find-peer.ts'
import { addToHistory } from '../history.ts'
import { dialingHost, homeFlags, homeOf, openWallet } from '../home.ts'
import { knownAddresses } from '../known-addresses.ts'
import { knownStatements } from '../known-statements.ts'
import { knownRegistries } from '../known-registries.ts'
import { digestOf, signMessage } from '../message.ts'
import { deliver } from '../message-client.ts'
import { messageProtocol } from '../message-protocol.ts'
import { connectRegistry } from '../registry-client.ts'

export default command({
  summary: 'send a message to a peer',
  description:
    'Encrypted and signed. It is delivered when the recipient’s signed receipt has come back; a recipient who cannot be reached is exit code 5. Somewhere the recipient must run "reach listen", "agent" or "mcp-serve".',
  args: {
    peer: { summary: 'a whole peer id; or the beginning of one, or a name, if only one peer at the registry fits' },
    text: { summary: 'what to say: at most 32 KiB' },
  },
  flags: {
    server: { value: 'HOST[:PORT]', summary: 'the registry to ask; the last one registered with by default, else localhost:8765' },
    address: { value: 'MULTIADDR', repeat: true, summary: 'where the peer listens: the registry is not asked then' },
    'follow-rotations': followFlag,
    ...homeFlags,
  },
  examples: [
    ['fairlead reach send LinuxBox "the backup is done"', 'to the one peer of that name'],
    ['fairlead reach send 12D3KooWEx "hello" --server registry.example.org', 'to the one peer whose id begins so'],
  ],
  async run({ terminal, folders, clock, log, signal }, { args, flags }) {
    const home = homeOf({ folders }, flags)
    const { identity } = await openWallet({ folders }, flags)
    signMessage(identity, identity.peerId, args.text, clock.now()) // what cannot be sent is said before anybody is asked
    const known = knownRegistries(home.registries)
    const server = known.choose(flags.server)
    const host = await dialingHost({ folders, clock, log }, flags)
    try {
      const registry = (signal?: AbortSignal) => connectRegistry({ host, clock, known }, server, signal)
      const dial = peerDial(
        {
          host,
          clock,
          known: knownAddresses(home.addresses),
          statements: knownStatements(home.statements),
          registry,
          followed: (from, to) => terminal.note(`${from} is now ${to}: following its rotation`),
        },
        { peer: args.peer, addresses: flags.address ?? [], protocol: messageProtocol, followRotations: flags['follow-rotations'] },
      )
      const stream = await dial(signal).catch((error: unknown) => {
        throw unreached(inRunbookWords(asFault(error), args.peer))
      })
      const to = stream.remotePeer
      const { id, signed } = signMessage(identity, to, args.text, clock.now())
      const entry = { event: 'sent', peer: to, id, message: digestOf(signed) } as const
      const receipt = await deliver(clock, stream, { id, signed }).catch(async (error: unknown) => {
        await addToHistory({ clock, log }, home, { ...entry, delivered: false })
        throw error
      })
      await addToHistory({ clock, log }, home, { ...entry, delivered: true })
      const result = { delivered: true, to, id, receivedAt: new Date(receipt.receivedAt).toISOString() }
      terminal.result(result, () => `delivered to ${to}`)
    } finally {
      await host.close()
    }
  },
})

/** Somebody of whom we know, but who is not there now: another time it may work. */
function unreached(found: Fault): Fault {
  const { peer, tried, isKnown } = found.details as { peer: string; tried: string; isKnown?: boolean }
  return found.code === 'reach.peer_not_found' && isKnown ? fault.not_reached({ peer, tried }, found) : found
}
