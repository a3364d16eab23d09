// Gives an MCP client on stdio the server that a peer serves: frames go through an encrypted tunnel, and nothing but frames goes to stdout.
import { setFlagsFromString } from 'node:v8'
import { command } from '../../base/terminal/command.ts'
import type { SharedHost } from '../../base/peer/host/shared-host.ts'
import { maxFrameBytesFlag, maxFrameBytesOf } from '../../base/config/size.ts'
import { limitsOf } from '../../base/wire/walk.ts'
import type { WireEnd } from '../../base/wire/wire.ts'
import { fault } from '../faults.ts'
import { followFlag } from '../finding/find-peer.ts'
import { dialingHost, homeFlags, homeOf } from '../home.ts'
import { joinWires } from '../serving/joined.ts'
import type { Server } from '../registry/known-registries.ts'
import { connectPeer } from '../serving/peer-connection.ts'
import { searchFlags, searchesOf } from '../finding/searches.ts'
import { renewedWire } from '../serving/renewed-wire.ts'
import { stdioWire } from '../serving/stdio-wire.ts'

/** How long a farewell may take. The client is gone: nobody waits for it. */
const farewellMs = 500

export default command({
  summary: 'be a stdio MCP server whose real server is at a peer',
  description:
    'For the configuration of an MCP client. Opens no port; ends with its stdin. When the connection is lost for good, open requests get an error and the next one connects anew.',
  args: { peer: { summary: 'a whole peer id; or the beginning of one, or a name, if only one peer at the registry fits' } },
  flags: {
    server: { value: 'HOST[:PORT]', summary: 'the registry to ask; the last one registered with by default, else localhost:8765' },
    address: { value: 'MULTIADDR', repeat: true, summary: 'where the peer listens: the registry is not asked then' },
    relay: { summary: 'go through the relay, even if there is a direct way' },
    ...searchFlags,
    'follow-rotations': followFlag,
    ...maxFrameBytesFlag,
    ...homeFlags,
  },
  examples: [
    [
      'fairlead reach mcp-connect 12D3KooWExamplePeerIdOfTheOtherMachine --server registry.example.org',
      'as the "command" and "args" of a client’s configuration',
    ],
    ['fairlead reach mcp-connect 12D3KooWExamplePeerIdOfTheOtherMachine', 'on the same network no registry is needed for a whole id'],
    ['fairlead reach mcp-connect LinuxBox', 'by name, at the registry used last'],
  ],
  async run(context, { args, flags }) {
    const { clock, log, signal, stdin, stdout } = context
    const { peer } = args
    const home = homeOf(context, flags)
    const limits = limitsOf(maxFrameBytesOf(flags))
    const settings = {
      peer,
      addresses: flags.address ?? [],
      server: flags.server,
      isRelayed: flags.relay,
      searches: (host: SharedHost, server: Server) => searchesOf({ host, home, clock }, flags, server),
      followRotations: flags['follow-rotations'],
      limits,
    }
    const host = () => dialingHost(context, flags)
    const connection = await connectPeer({ home, host, clock, log, signal }, settings)
    const { open } = connection
    const remote = renewedWire({ open, lost: (end) => fault.tunnel_ended({ peer, how: howEnded(end) }), clock, log })
    const client = stdioWire(stdin, stdout, limits)
    try {
      const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      const neverConnected = remote.opened.then(() => {
        growFreely()
        return stopped
      })
      await Promise.race([joinWires(client, remote), client.ended, neverConnected, stopped])
    } finally {
      const farewell = remote.close().then(() => connection.close())
      await Promise.race([farewell.catch(() => {}), clock.wait(farewellMs)])
    }
  },
})

/**
 * Lets the heap grow to five times what is alive before it is collected whole, where V8 would take one and a half of the few megabytes that live here: large results then cost
 * three quarters of the CPU. Not a flag of the launcher's: with that Node would compile its own parts anew at each start.
 */
function growFreely(): void {
  setFlagsFromString('--heap-growing-percent=400')
}

function howEnded(end: WireEnd): string {
  return 'problem' in end ? `${end.why}: ${end.problem}` : end.why
}
