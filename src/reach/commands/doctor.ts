// Says why a peer cannot be reached, or that all is well: every step of the runbook's troubleshooting, with what was seen and what to do.
import { join } from 'node:path'
import { examine } from '../../base/checks/examine.ts'
import { exitCodeOf, findingsText } from '../../base/checks/report.ts'
import { fault as peerFault } from '../../base/peer/fault.ts'
import { proxiesOf } from '../../base/peer/proxy.ts'
import { type Context, command } from '../../base/terminal/command.ts'
import { readWalletCard } from '../../base/identity/wallet.ts'
import { reachCalls } from '../client.ts'
import { type ReachCheck, createExamination } from '../examination.ts'
import { type HomeFlags, homeFlags, homeOf, openWallet } from '../home.ts'
import { knownAddresses } from '../finding/known-addresses.ts'
import { contactsAt, searchFlags } from '../finding/searches.ts'
import { knownRegistries, parseServer } from '../registry/known-registries.ts'

export default command({
  summary: 'find out why a peer cannot be reached',
  description:
    'Looks at the wallet, the registry, the clocks and the peer, in this order, and changes nothing; to see whether the peer lets us in, it is greeted once, which may start its MCP server for a moment. Exit code 0: all is good; 3: something was found.',
  args: {
    peer: { optional: true, summary: 'a whole peer id, the beginning of one, or a name; without it only our own side is looked at' },
  },
  flags: {
    server: {
      value: 'HOST[:PORT]',
      summary: 'the registry; by default that of the peer host that runs, else the last one registered with, else localhost:8765',
    },
    address: { value: 'MULTIADDR', repeat: true, summary: 'where the peer listens: with a whole id the registry is not asked then' },
    ...searchFlags,
    dht: { summary: 'ask the distributed hash table, too, beginning at the registry and at nodes met before' },
    ...homeFlags,
  },
  examples: [
    ['fairlead reach doctor', 'are wallet, registry, clock and our own card as they should be?'],
    ['fairlead reach doctor LinuxBox --server registry.example.org', 'and can LinuxBox be reached?'],
    ['fairlead reach doctor 12D3KooWExamplePeerIdOfTheOtherMachine --dht', 'and does the hash table know it?'],
    ['fairlead reach doctor 12D3KooWExamplePeerIdOfTheOtherMachine --address /ip4/192.0.2.7/tcp/8766', 'without a registry'],
  ],
  async run(context, { args, flags }) {
    const { env, terminal, clock, log, signal } = context
    const { address: addresses } = flags
    if (flags.server !== undefined) parseServer(flags.server)
    const server = flags.server ?? (addresses.length === 0 ? await hostRegistry(context, flags) : undefined)
    await checkAddresses(addresses)
    const home = homeOf(context, flags)
    const nodes = flags['dht-node']
    const dhtNodes = flags.dht || nodes.length > 0 ? nodes : undefined
    contactsAt(nodes, undefined) // what cannot be a node is said now
    await using cleanup = new AsyncDisposableStack()
    const known = knownRegistries(home.registries)
    const examination = cleanup.adopt(
      createExamination(
        {
          clock,
          log,
          signal,
          known,
          addresses: knownAddresses(home.addresses),
          nodes: knownAddresses(home.nodes),
          proxyFor: proxiesOf(env),
          openWallet: () => openWallet(context, flags),
        },
        { home, peer: args.peer, server, addresses, isLanAsked: !flags['no-lan'], dhtNodes, program: programOf(context, flags) },
      ),
      (opened) => opened.close(),
    )
    const findings = await examine(await reachChecks(), examination, { clock, signal, onStart: terminal.progress })
    terminal.done()
    const exitCode = exitCodeOf(findings)
    terminal.result({ isGood: exitCode === 0, findings }, () => findingsText(findings, terminal.style))
    return exitCode
  },
})

async function reachChecks(): Promise<{ name: string; check: ReachCheck }[]> {
  const { checks } = await import('../../extensions.ts')
  const ours = checks.filter(({ owner }) => owner === 'reach')
  return Promise.all(ours.map(async ({ name, load }) => ({ name, check: (await load()).default as ReachCheck })))
}

/** Of the peer host that runs with this identity, if one does. */
async function hostRegistry(context: Context, flags: HomeFlags): Promise<string | undefined> {
  try {
    const { peerId, registry } = await reachCalls(join(context.folders.runtime, 'peer'), hostMs)['show-peers']({})
    return peerId === readWalletCard(homeOf(context, flags).wallet)?.peerId ? (registry ?? undefined) : undefined
  } catch {
    return undefined // no host runs; what is wrong with the wallet is for a check to say
  }
}

const hostMs = 1_000

/** What is wrong with the question itself is no finding. */
async function checkAddresses(addresses: readonly string[]): Promise<void> {
  if (addresses.length === 0) return
  const { parseAddress } = await import('../../base/peer/libp2p.ts')
  for (const address of addresses) {
    const problem = parseAddress(address)
    if (problem !== undefined) throw peerFault.bad_address({ address, problem })
  }
}

function programOf({ alias }: Context, { home }: HomeFlags): { name: string; flags: string } {
  return { name: alias === 'bmp' ? alias : 'fairlead reach', flags: home === undefined ? '' : ` --home '${home}'` }
}
