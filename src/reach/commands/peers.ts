// Lists who is registered: full ids, names, addresses, age.
import { reachability } from '../../base/peer/address.ts'
import { proxiesOf } from '../../base/peer/proxy.ts'
import { command } from '../../base/terminal/command.ts'
import { homeFlags, homeOf } from '../home.ts'
import { knownRegistries, serverText } from '../registry/known-registries.ts'
import { askRegistry } from '../registry/lookup.ts'
import { tableText } from '../../base/terminal/table.ts'
import { ageText } from '../shown.ts'

export default command({
  summary: 'list the peers that are registered',
  description:
    'REACHABLE: "direct (proved)" if the registry itself has dialled the peer within the last 15 minutes; "relayed" through the registry; "websocket (proved)" likewise; "direct (not proved)" if only the peer says so, as on a local network, or behind a firewall.',
  flags: {
    server: { value: 'HOST[:PORT]', summary: 'the registry; the last one registered with by default, else localhost:8765' },
    ...homeFlags,
  },
  examples: [
    ['fairlead reach peers', 'everyone at the registry used last'],
    ['fairlead reach peers --server registry.example.org --json', 'the same of another registry, as JSON'],
  ],
  async run({ env, terminal, folders, clock, log, signal }, { flags }) {
    const known = knownRegistries(homeOf({ folders }, flags).registries)
    const server = known.choose(flags.server)
    const found = await askRegistry({ clock, log, known, proxyFor: proxiesOf(env) }, server, (registry) => registry.list(), signal)
    const peers = found.map(({ peerId, name, addresses, proved, ageMs, expiresAt }) => ({
      peerId,
      name,
      addresses,
      proved,
      ageMs,
      expiresAt: new Date(expiresAt).toISOString(),
      reachability: reachability(addresses, proved),
    }))
    const rows = peers.map(({ peerId, name, addresses, ageMs, reachability }) => [
      peerId,
      name,
      ageText(ageMs),
      reachability,
      addresses[0] ?? '',
    ])
    terminal.result({ registry: serverText(server), peers }, () => {
      if (peers.length === 0) return `nobody is registered at ${serverText(server)}`
      return tableText([['PEER ID', 'NAME', 'SEEN', 'REACHABLE', 'ADDRESS'], ...rows])
    })
  },
})
