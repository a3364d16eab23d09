// Serves an MCP server of this machine to the peers that are authorized, each session with a server of its own.
import { maxFrameBytesFlag, maxFrameBytesOf } from '../../base/config/size.ts'
import { createHttpClient } from '../../base/http/client.ts'
import { type Context, command, stopAsked } from '../../base/terminal/command.ts'
import { type Wallet, loadWallet } from '../../base/identity/wallet.ts'
import { proxiesOf } from '../../base/peer/proxy.ts'
import { childEnvironment } from '../../base/supervise/environment.ts'
import { startGuard } from '../../base/supervise/guard.ts'
import { splitWords } from '../../base/supervise/words.ts'
import { type WireLimits, limitsOf } from '../../base/wire/walk.ts'
import { asIdentity } from '../succession/as-identity.ts'
import { authorizedPeers } from '../serving/authorized-peers.ts'
import { fault } from '../faults.ts'
import { homeFlags, homeOf, walletKeys } from '../home.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { hostFlags, hostSettings } from '../node/listening.ts'
import { type PeerNodeNeeds, startPeerNode } from '../node/peer-node.ts'
import { permittedWire } from '../serving/permitted-wire.ts'
import { policyFile } from '../serving/policy-file.ts'
import { handToSocket } from '../serving/preamble.ts'
import { runningServer, targetOf } from '../serving/running-server.ts'
import { servedChild } from '../serving/served-child.ts'
import { sharedChild } from '../serving/shared-child.ts'

export default command({
  summary: 'serve an MCP server of this machine to authorized peers',
  description:
    'Every session of every peer gets a process of its own, or with --to a session of its own at a server that runs already. Nobody else learns more than that they are not authorized. Any number may run side by side: the first listens, the others share its port. A peer that more than one would let in is served by the one that was started first.',
  flags: {
    'authorized-peer': { value: 'ID', repeat: true, summary: 'a peer id that may connect' },
    'authorized-file': {
      value: 'FILE',
      summary:
        'a file with one such id a line, and behind it "follow-rotations" if that shall hold for it; read again when it changes: who is taken off loses an open session within a second',
    },
    policy: {
      value: 'FILE',
      summary:
        'a file (TOML or YAML) that names peers that may connect, and what each may call; read again when it changes. All else is refused, and lists leave it out',
    },
    'follow-rotations': { summary: 'let an authorized peer that rotated its key in by the new one, and by that alone' },
    command: { value: 'COMMAND', summary: 'the command line of a stdio MCP server, quoted as in a shell' },
    env: {
      value: 'NAME',
      repeat: true,
      summary: 'a variable of this environment that the command needs; PATH, HOME and the like are always there',
    },
    shared: {
      summary: 'one process of the command for all sessions: only for a server that keeps no state. It cannot ask its clients anything',
    },
    to: {
      value: 'URL',
      summary: 'instead of --command: a server that runs already, at http://…, https://… or unix:PATH (one frame a line)',
    },
    introduce: { summary: 'with --to unix:PATH: say in a first line which peer was proved' },
    keep: {
      value: 'SECONDS',
      type: 'integer',
      default: 300,
      summary: 'how long a session whose connection broke waits, server and all, for its peer to come back',
    },
    ...maxFrameBytesFlag,
    ...hostFlags,
    ...homeFlags,
  },
  examples: [
    [
      'fairlead reach mcp-serve --authorized-peer 12D3KooWExamplePeerIdOfTheOtherMachine --command "npx -y @modelcontextprotocol/server-filesystem /home/user/projects"',
      'that peer may use the file system server',
    ],
    [
      'fairlead reach mcp-serve --policy policy.toml --command "npx -y @modelcontextprotocol/server-filesystem /home/user/projects"',
      'the peers of the file, with the tools that it names: [peers.12D3KooW…] tools = ["read_*", "list_directory"]',
    ],
    [
      'fairlead reach mcp-serve --authorized-file peers.txt --shared --command "npx -y @modelcontextprotocol/server-everything"',
      'one process for all of them',
    ],
    ['fairlead reach mcp-serve --authorized-file peers.txt --to http://127.0.0.1:3000/mcp', 'those peers reach the server that runs there'],
    ['fairlead reach mcp-serve --authorized-file peers.txt --to unix:/run/example.sock', 'or what listens at the socket'],
  ],
  async run(context, { flags }) {
    const { env, terminal, clock, log, signal } = context
    await using cleanup = new AsyncDisposableStack()
    const home = homeOf(context, flags)
    const keys = walletKeys(context, flags, home.wallet)
    const limits = limitsOf(maxFrameBytesOf(flags))
    const ids = flags['authorized-peer'] ?? []
    const file = flags['authorized-file']
    const policy =
      flags.policy === undefined ? undefined : cleanup.adopt(await policyFile({ clock, log }, flags.policy), (one) => one.close())
    if (ids.length === 0 && file === undefined && !policy?.peers().length) throw fault.nobody_authorized({})
    const statements = knownStatements(home.statements)
    const authorized = cleanup.adopt(
      authorizedPeers({ clock, log, statements, policy }, { ids, file, followRotations: flags['follow-rotations'] }),
      (peers) => peers.close(),
    )
    if (authorized.listed().length === 0) terminal.note(`nobody is authorized yet: ${file} names nobody`)
    const openServer = serverOf(context, flags, limits, cleanup)
    const open: PeerNodeNeeds['open'] = policy
      ? (session) => permittedWire(openServer(session), () => policy.permit(authorized.listedAs(session.peer)))
      : openServer
    let settings = { ...hostSettings(home, flags), keepMs: Math.max(0, flags.keep) * 1000, limits }
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

/** As many as there may be sessions, each with a stream that stays open, and calls beside it. */
const maxSockets = 4_096

type ServerFlags = {
  readonly command: string | undefined
  readonly env: readonly string[] | undefined
  readonly shared: boolean
  readonly to: string | undefined
  readonly introduce: boolean
}

/** What a session is joined to, as the flags say; what must be ended with it goes into `cleanup`. What cannot be read is said now, not to the first who connects. */
function serverOf(
  { env, clock, log }: Context,
  { command, env: names = [], shared, to, introduce }: ServerFlags,
  limits: WireLimits,
  cleanup: AsyncDisposableStack,
): PeerNodeNeeds['open'] {
  if ((command === undefined) === (to === undefined)) throw fault.one_target({})
  if (to !== undefined) {
    if (shared) throw fault.flag_needs_flag({ flag: 'shared', other: 'command' })
    const target = targetOf(to)
    if (introduce) {
      if (!('path' in target)) throw fault.flag_needs_flag({ flag: 'introduce', other: 'to unix:PATH' })
      return (session) => handToSocket({ clock, log }, target.path, session, limits)
    }
    const client = cleanup.adopt(createHttpClient({ maxSockets }), (one) => one.close())
    return () => runningServer({ clock, log, client }, target, limits)
  }
  if (introduce) throw fault.flag_needs_flag({ flag: 'introduce', other: 'to unix:PATH' })
  splitWords(command!)
  const wanted = names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]] as const]))
  const guard = cleanup.adopt(startGuard({ clock, log }), (guard) => guard.close())
  const settings = { command: command!, env: childEnvironment(env, Object.fromEntries(wanted)), limits }
  if (!shared) return () => servedChild({ guard, clock, log }, settings)
  const child = cleanup.adopt(sharedChild({ guard, clock, log }, settings), (one) => one.close())
  return () => child.open()
}
