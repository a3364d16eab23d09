// The local networks of this machine. Each is named whenever a packet leaves or a group is joined: left to itself, the system takes the one of the default route,
// and without such a route nothing is sent, and nobody says so.
import { BlockList } from 'node:net'
import { networkInterfaces } from 'node:os'

export type LanNetwork = {
  /** Our own IPv4 address there. */
  readonly address: string
  /** Whether somebody with this address is right there, with no router in between. */
  contains(address: string): boolean
}

/** More are not served. */
const maxNetworks = 16

/** Those with an IPv4 address; loopback is none. */
export function lanNetworks(): readonly LanNetwork[] {
  return Object.values(networkInterfaces())
    .flatMap((found) => found ?? [])
    .filter(({ family, internal, cidr }) => family === 'IPv4' && !internal && cidr !== null)
    .slice(0, maxNetworks)
    .map(({ address, cidr }) => lanNetwork(address, Number(cidr!.split('/')[1])))
}

/** The network of `address` whose first `prefix` bits its members share. */
export function lanNetwork(address: string, prefix: number): LanNetwork {
  const members = new BlockList()
  members.addSubnet(address, prefix, 'ipv4')
  return { address, contains: (other) => members.check(other, 'ipv4') }
}
