// Serves an MCP server of this machine to the peers that are authorized, each session with a server of its own.
import { command, stopAsked } from '../../base/terminal/command.ts'
import { type Wallet, loadWallet } from '../../base/identity/wallet.ts'
import { proxiesOf } from '../../base/peer/proxy.ts'
import { childEnvironment } from '../../base/supervise/environment.ts'
import { startGuard } from '../../base/supervise/guard.ts'
import { splitWords } from '../../base/supervise/words.ts'
import { asIdentity } from '../succession/as-identity.ts'
import { authorizedPeers } from '../serving/authorized-peers.ts'
import { fault } from '../faults.ts'
import { homeFlags, homeOf, walletKeys } from '../home.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { hostFlags, hostSettings } from '../node/listening.ts'
import { type PeerNodeNeeds, startPeerNode } from '../node/peer-node.ts'
import { handToSocket } from '../serving/preamble.ts'
import { servedChild } from '../serving/served-child.ts'

export default command({
  summary: 'serve an MCP server of this machine to authorized peers',
  description:
    'Every session of every peer gets a process of its own. Nobody else learns more than that they are not authorized. Any number may run side by side: the first listens, the others share its port. A peer that more than one would let in is served by the one that was started first.',
  flags: {
    'authorized-peer': { value: 'ID', repeat: true, summary: 'a peer id that may connect' },
    'authorized-file': {
      value: 'FILE',
      summary:
        'a file with one such id a line, and behind it "follow-rotations" if that shall hold for it; read again when it changes: who is taken off loses an open session within a second',
    },
    'follow-rotations': { summary: 'let an authorized peer that rotated its key in by the new one, and by that alone' },
    command: { value: 'COMMAND', summary: 'the command line of a stdio MCP server, quoted as in a shell' },
    env: {
      value: 'NAME',
      repeat: true,
      summary: 'a variable of this environment that the command needs; PATH, HOME and the like are always there',
    },
    to: { value: 'unix:PATH', summary: 'instead of --command: a local socket that serves, which is told who connects' },
    keep: {
      value: 'SECONDS',
      type: 'integer',
      default: 300,
      summary: 'how long a session whose connection broke waits, server and all, for its peer to come back',
    },
    ...hostFlags,
    ...homeFlags,
  },
  examples: [
    [
      'fairlead reach mcp-serve --authorized-peer 12D3KooWExamplePeerIdOfTheOtherMachine --command "npx -y @modelcontextprotocol/server-filesystem /home/user/projects"',
      'that peer may use the file system server',
    ],
    ['fairlead reach mcp-serve --authorized-file peers.txt --to unix:/run/example.sock', 'those peers reach what listens at the socket'],
  ],
  async run(context, { flags }) {
    const { env, terminal, clock, log, signal } = context
    await using cleanup = new AsyncDisposableStack()
    const home = homeOf(context, flags)
    const keys = walletKeys(context, flags, home.wallet)
    const ids = flags['authorized-peer'] ?? []
    const file = flags['authorized-file']
    if (ids.length === 0 && file === undefined) throw fault.nobody_authorized({})
    const statements = knownStatements(home.statements)
    const authorized = cleanup.adopt(
      authorizedPeers({ clock, log, statements }, { ids, file, followRotations: flags['follow-rotations'] }),
      (peers) => peers.close(),
    )
    if (authorized.listed().length === 0) terminal.note(`nobody is authorized yet: ${file} names nobody`)
    const socket = flags.to === undefined ? undefined : socketOf(flags.to)
    let open: PeerNodeNeeds['open']
    if (socket !== undefined && flags.command === undefined) open = (session) => handToSocket({ clock, log }, socket, session)
    else if (socket === undefined && flags.command !== undefined) {
      const line = flags.command
      splitWords(line) // what cannot be read is said now, not to the first who connects
      const wanted = (flags.env ?? []).flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]] as const]))
      const childEnv = childEnvironment(env, Object.fromEntries(wanted))
      const guard = cleanup.adopt(startGuard({ clock, log }), (guard) => guard.close())
      open = () => servedChild({ guard, clock, log }, { command: line, env: childEnv })
    } else throw fault.one_target({})
    let settings = { ...hostSettings(home, flags), keepMs: Math.max(0, flags.keep) * 1000 }
    let isFirst = true
    const serve = async (wallet: Wallet, signal: AbortSignal): Promise<void> => {
      const node = await startPeerNode({ wallet, authorized, open, clock, log, proxyFor: proxiesOf(env) }, settings)
      settings = { ...settings, listen: node.listening() } // the next identity is found at the same port
      try {
        const served = { peerId: node.peerId, addresses: node.addresses(), registry: node.registry }
        const shown = (): string =>
          [
            `serving as ${node.peerId}`,
            ...node.addresses().map((address) => `  ${address}`),
            `registry: ${node.registry ?? 'none: clients need --address'}`,
          ].join('\n')
        if (isFirst) terminal.result(served, shown)
        else terminal.note(shown())
        isFirst = false
        await stopAsked({ signal })
      } finally {
        await node.close()
      }
    }
    await asIdentity({ clock, log, signal, open: () => loadWallet(home.wallet, keys) }, home.wallet, serve)
  },
})

function socketOf(target: string): string {
  const path = /^unix:(.+)$/.exec(target)?.[1]
  if (path === undefined) throw fault.target_invalid({ target })
  return path
}
