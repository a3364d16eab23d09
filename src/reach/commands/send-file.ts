// Sends a file to a peer, and says "delivered" when the recipient has signed that it has all of it.
import { asFault } from '../../kernel/fault.ts'
import { randomId } from '../../kernel/random.ts'
import { command } from '../../base/terminal/command.ts'
import { sizeText } from '../../base/terminal/amount.ts'
import { openOutgoing } from '../../base/transfer/outgoing-file.ts'
import { sendFile } from '../file/client.ts'
import { progressOf } from '../file/progress.ts'
import { fileProtocol } from '../file/protocol.ts'
import { followFlag, peerDial, unreached } from '../finding/find-peer.ts'
import { addToHistory } from '../history.ts'
import { homeFlags, homeOf, openWallet } from '../home.ts'
import { knownAddresses } from '../finding/known-addresses.ts'
import { proxiesOf } from '../../base/peer/proxy.ts'
import { knownRegistries } from '../registry/known-registries.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { connectRegistry } from '../registry/client.ts'
import { searchFlags, searchesOf } from '../finding/searches.ts'

export default command({
  summary: 'send a file to a peer',
  description:
    'Encrypted; delivered when the recipient has checked its SHA-256 and signed for it. It lies in the folder "downloads" of its identity then, and "reach inbox" shows it. When the connection breaks it goes on where it was; so does the same command when it is given again within a week. The recipient must have said "reach accept-files" with our id, and run "reach listen", "agent" or "mcp-serve".',
  args: {
    peer: { summary: 'a whole peer id; or the beginning of one, or a name, if only one peer at the registry fits' },
    path: { summary: 'the file' },
  },
  flags: {
    server: { value: 'HOST[:PORT]', summary: 'the registry to ask; the last one registered with by default, else localhost:8765' },
    address: { value: 'MULTIADDR', repeat: true, summary: 'where the peer listens: the registry is not asked then' },
    ...searchFlags,
    'follow-rotations': followFlag,
    patience: { value: 'SECONDS', type: 'integer', default: 300, summary: 'how long to try again while nothing gets through' },
    ...homeFlags,
  },
  examples: [['fairlead reach send-file LinuxBox backup.tar.gz', 'to the one peer of that name']],
  async run(context, { args, flags }) {
    const { env, terminal, folders, clock, log, signal } = context
    await using cleanup = new AsyncDisposableStack()
    const home = homeOf({ folders }, flags)
    const { identity } = await openWallet(context, flags)
    const file = cleanup.adopt(await openOutgoing(args.path, { signal }), (file) => file.close())
    const known = knownRegistries(home.registries)
    const server = known.choose(flags.server)
    // A connection of its own, in this process: what goes on over the shared host is not held up.
    const { createPeerHost } = await import('../../base/peer/host/host.ts')
    const needs = { identity, clock, log, proxyFor: proxiesOf(env) }
    const host = cleanup.adopt(await createPeerHost(needs, { listen: [] }), (host) => host.close())
    const registry = (signal?: AbortSignal) => connectRegistry({ host, clock, known }, server, signal)
    const followed = (from: string, to: string) => terminal.note(`${from} is now ${to}: following its rotation`)
    const redial = peerDial(
      { host, clock, known: knownAddresses(home.addresses), statements: knownStatements(home.statements), registry, followed },
      {
        peer: args.peer,
        addresses: flags.address ?? [],
        protocol: fileProtocol,
        searches: searchesOf({ host, home, clock }, flags, server),
        followRotations: flags['follow-rotations'],
      },
    )
    let to = args.peer
    const dial = async (signal?: AbortSignal) => {
      const stream = await redial(signal)
      to = stream.remotePeer
      return stream
    }
    const id = randomId()
    const { name, sizeBytes, sha256 } = file
    const facts = { sizeBytes, sha256 }
    let offered: string | undefined
    const remember = (delivered: boolean): Promise<boolean> | undefined =>
      offered === undefined
        ? undefined
        : addToHistory({ clock, log, identity }, home, { event: 'sent', peer: to, id, message: offered, file: facts, delivered })
    const progress = progressOf({ terminal, clock }, { name, sizeBytes })
    try {
      const delivery = await sendFile(
        {
          identity,
          clock,
          dial,
          onOffer: (digest) => {
            offered = digest
          },
          onProgress: progress.at,
          onRetry: ({ message }) => terminal.note(`${message}; trying again`),
        },
        { file, id, patienceMs: Math.max(0, flags.patience) * 1000, signal },
      )
      await remember(true)
      const { sentBytes, attempts, receivedAt } = delivery
      const result = { delivered: true, to, id, name, ...facts, sentBytes, attempts, receivedAt: new Date(receivedAt).toISOString() }
      const spared = sentBytes < sizeBytes ? `, ${sizeText(sizeBytes - sentBytes)} of it before` : ''
      terminal.result(result, () => `delivered to ${to} (${sizeText(sizeBytes)}${spared})`)
    } catch (error) {
      terminal.done()
      await remember(false)
      signal.throwIfAborted() // whoever stops it knows why
      throw unreached(asFault(error))
    }
  },
})
