// system_get_network_info: interfaces, default routes and name servers of this machine.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { orUnavailable } from '../answers.ts'
import { type Address, type Host, isKnown, known } from '../host.ts'
import type { MachineNeeds } from '../needs.ts'
import { parseIpv4Defaults, parseIpv6Defaults, parseResolvConf } from '../network.ts'

const maxInterfaces = 128
const counterNames = ['rx_bytes', 'tx_bytes', 'rx_packets', 'tx_packets', 'rx_errors', 'tx_errors', 'rx_dropped', 'tx_dropped'] as const
const counter = z.int().min(0).optional()

const networkInterface = z.object({
  name: z.string(),
  state: orUnavailable(z.string()).describe("The kernel's operstate: up, down, dormant, unknown (loopback and tunnels), …"),
  mac: orUnavailable(z.string()),
  mtu: orUnavailable(z.int()),
  speedMbps: orUnavailable(z.int()),
  addresses: z.array(z.object({ family: z.enum(['IPv4', 'IPv6']), address: z.string(), prefixLength: z.int() })),
  counters: z
    .object({
      rxBytes: counter,
      txBytes: counter,
      rxPackets: counter,
      txPackets: counter,
      rxErrors: counter,
      txErrors: counter,
      rxDropped: counter,
      txDropped: counter,
    })
    .describe('Since the interface appeared; they may wrap.'),
})
const route = z.object({ family: z.enum(['IPv4', 'IPv6']), interface: z.string(), gateway: z.string().optional(), metric: z.int() })

const output = z.object({
  interfaces: orUnavailable(z.array(networkInterface)),
  interfacesLeftOut: z.int().describe(`Interfaces beyond the first ${maxInterfaces}.`),
  defaultRoutes: orUnavailable(z.array(route)).describe('The one with the lowest metric is used first.'),
  dns: orUnavailable(z.object({ servers: z.array(z.string()), search: z.array(z.string()) })),
})
type Answer = z.output<typeof output>

async function interfaceOf(
  host: Host,
  name: string,
  addresses: readonly Address[],
): Promise<z.output<typeof networkInterface> | undefined> {
  const folder = `/sys/class/net/${name}`
  const [state, mac, mtu, speed, ...counts] = await Promise.all(
    ['operstate', 'address', 'mtu', 'speed', ...counterNames.map((counted) => `statistics/${counted}`)].map((file) =>
      host.text(`${folder}/${file}`),
    ),
  )
  if (!isKnown(state!) && !isKnown(mtu!)) return undefined // it went away, or it is a file such as bonding_masters
  const speedMbps = isKnown(speed!) ? Number(speed) : -1
  const counters = counterNames.flatMap((counted, index) => {
    const text = known(counts[index]!)
    return text === undefined ? [] : [[counted.replace(/_(.)/, (_, letter: string) => letter.toUpperCase()), Number(text)]]
  })
  return {
    name,
    state: isKnown(state!) ? state.trim() : state!,
    mac: isKnown(mac!) ? mac.trim() || { unavailable: 'this kind of interface has none' } : mac!,
    mtu: isKnown(mtu!) ? Number(mtu) : mtu!,
    speedMbps: speedMbps > 0 ? speedMbps : { unavailable: `${folder}/speed tells none: the link is down, virtual or wireless` },
    addresses: [...addresses],
    counters: Object.fromEntries(counters) as z.output<typeof networkInterface>['counters'],
  }
}

async function interfacesOf(host: Host): Promise<Pick<Answer, 'interfaces' | 'interfacesLeftOut'>> {
  const names = await host.names('/sys/class/net')
  if (!isKnown(names)) return { interfaces: names, interfacesLeftOut: 0 }
  const ordered = [...names].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  const addresses = host.addresses()
  const found = await Promise.all(ordered.slice(0, maxInterfaces).map((name) => interfaceOf(host, name, addresses.get(name) ?? [])))
  return { interfaces: found.filter((each) => each !== undefined), interfacesLeftOut: Math.max(0, ordered.length - maxInterfaces) }
}

export default tool({
  name: 'system_get_network_info',
  title: 'Network of this machine',
  description:
    'Network interfaces with addresses, state, MAC address, MTU and traffic counters; default routes of IPv4 and IPv6; name servers. ' +
    'Addresses are listed for interfaces that are up. Nothing is sent over the network to find out.',
  input: z.strictObject({}),
  output,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'observe',
  async handle({ host }: MachineNeeds) {
    const [{ interfaces, interfacesLeftOut }, ipv4, ipv6, resolv] = await Promise.all([
      interfacesOf(host),
      host.text('/proc/net/route'),
      host.text('/proc/net/ipv6_route', 1 << 20),
      host.text('/etc/resolv.conf'),
    ])
    const routes = [...(isKnown(ipv4) ? parseIpv4Defaults(ipv4) : []), ...(isKnown(ipv6) ? parseIpv6Defaults(ipv6) : [])]
    return {
      interfaces,
      interfacesLeftOut,
      defaultRoutes: isKnown(ipv4) || isKnown(ipv6) ? routes.sort((a, b) => a.metric - b.metric) : ipv4,
      dns: isKnown(resolv) ? parseResolvConf(resolv) : resolv,
    }
  },
})
