// Prints the line that runners are told: where the host of their group is.
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { command } from '../../base/terminal/command.ts'
import { asFault } from '../../kernel/fault.ts'
import { shareCalls } from '../client.ts'
import { fault } from '../faults.ts'
import { defaultPort } from '../group-peers.ts'
import { portOf } from '../group-words.ts'
import { type Places, placesIn } from '../places.ts'
import { ownIdentity } from '../proxy.ts'
import { isPrivate } from '../public-address.ts'

export default command({
  summary: 'print the address of the host, for MCP_P2P_BOOTSTRAP_PEERS of the runners',
  description:
    'One line: /ip4/ADDRESS/tcp/PORT/p2p/PEER-ID. The peer id stays, so that the line may be printed before the host is started. Nobody else is asked what the public address is: say it with --public-ip when it is not one of this machine (behind NAT, in a cloud).',
  flags: {
    'public-ip': { value: 'IP', summary: 'the address at which runners reach this machine; one of its own by default' },
    port: {
      value: 'N',
      type: 'integer',
      summary: `the port at which they do, if it is another than the one that the host listens at (a running one says it, else ${defaultPort})`,
    },
  },
  examples: [
    ['fairlead share address --public-ip 203.0.113.42', 'the value of the secret MCP_P2P_BOOTSTRAP_PEERS'],
    ['fairlead share address', 'for runners in the same network'],
  ],
  async run({ folders, terminal }, { flags }) {
    const places = placesIn(folders)
    const ip = flags['public-ip'] ?? ownAddress()
    const version = isIP(ip)
    if (version === 0) throw fault.ip_invalid({ ip })
    const { peerId } = await ownIdentity(places.wallet)
    const port = flags.port ?? (await portOfHost(places)) ?? defaultPort
    if (port < 1 || port > 65_535) throw fault.port_invalid({ port })
    const address = `/ip${version}/${ip}/tcp/${port}/p2p/${peerId}`
    if (flags['public-ip'] === undefined && isPrivate(ip))
      terminal.note(`${ip} is reached from the same network alone; for others: fairlead share address --public-ip IP`)
    terminal.result({ address, peerId, port }, () => address)
  },
})

/** What others reach before what only its neighbours do. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  const own = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80:')).map(({ address }) => address)
  const byFamily = own.toSorted((one, other) => isIP(one) - isIP(other))
  return byFamily.find((address) => !isPrivate(address)) ?? byFamily[0] ?? '127.0.0.1'
}

async function portOfHost(places: Places): Promise<number | undefined> {
  try {
    const { addresses } = await shareCalls(places).group({})
    return Number(portOf(addresses[0]) ?? defaultPort)
  } catch (error) {
    if (asFault(error).code !== 'control.unreachable') throw error
    return undefined
  }
}
