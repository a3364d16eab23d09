// The flags of the commands that listen, and what a host is told by them.
import { isIP } from 'node:net'
import { isPeerId } from '../../base/identity/identity.ts'
import { fault as peerFault } from '../../base/peer/fault.ts'
import type { Flag } from '../../base/terminal/command.ts'
import { fault } from '../faults.ts'
import type { Home } from '../home.ts'
import type { NodeHostSettings } from './peer-node.ts'

export const defaultPeerPort = 8766

/** Flags of the commands that listen. */
export function listenFlags<const Port extends number>(port: Port) {
  return {
    port: { value: 'PORT', type: 'integer', default: port, summary: 'the TCP port to listen on' },
    host: { value: 'ADDRESS', default: '0.0.0.0', summary: 'the IP address to listen on' },
    listen: { value: 'MULTIADDR', repeat: true, summary: 'listen there, too; for WebSockets: /ip4/0.0.0.0/tcp/8780/ws' },
  } as const satisfies Record<string, Flag>
}

/** Of the commands that may become the host of an identity. */
export const hostFlags = {
  server: { value: 'HOST[:PORT]', summary: 'the registry to be known at; the last one registered with by default' },
  announce: { value: 'MULTIADDR', repeat: true, summary: 'an address under which others reach this machine, besides its own' },
  ...listenFlags(defaultPeerPort),
  'no-lan': { summary: 'do not answer who asks for this peer by its id on the local network' },
  dht: { summary: 'take part in the distributed hash table of peers, beginning at the registry and at nodes met before' },
  'dht-node': { value: 'MULTIADDR', repeat: true, summary: 'the same, beginning there, too' },
  witness: { value: 'ID', repeat: true, summary: 'have the history witnessed by this peer, by itself ("reach witness add" there)' },
  'witness-every': { value: 'MINUTES', type: 'integer', default: 60, summary: 'how often, if something was added' },
  'witness-after': { value: 'ENTRIES', type: 'integer', default: 100, summary: 'and as soon as so many were added' },
} as const satisfies Record<string, Flag>

/** Where those flags say to listen. Fault `reach.host_invalid`. */
export function listenAddresses(flags: { host: string; port: number; listen: readonly string[] }): readonly string[] {
  return [listenAddress(flags.host, flags.port), ...flags.listen]
}

/** The multiaddr of an IP address (or `localhost`) and a port, 0 for any free one; faults `reach.host_invalid`, `reach.port_invalid`. */
export function listenAddress(host: string, port: number): string {
  const address = host === 'localhost' ? '127.0.0.1' : host
  const version = isIP(address)
  if (version === 0) throw fault.host_invalid({ host })
  if (port < 0 || port > 65_535) throw fault.port_invalid({ port })
  return `/ip${version}/${address}/tcp/${port}`
}

/** What the flags above stand for. */
export type HostFlags = {
  readonly server: string | undefined
  readonly announce: readonly string[]
  readonly port: number
  readonly host: string
  readonly listen: readonly string[]
  readonly 'no-lan': boolean
  readonly dht: boolean
  readonly 'dht-node': readonly string[]
  readonly witness: readonly string[]
  readonly 'witness-every': number
  readonly 'witness-after': number
}

/** What `openNodeHost` is told by the flags; faults `reach.host_invalid`, `reach.peer_id_invalid`. */
export function hostSettings(home: Home, flags: HostFlags): NodeHostSettings {
  const witnesses = flags.witness
  for (const text of witnesses) if (!isPeerId(text)) throw fault.peer_id_invalid({ text, where: '--witness' })
  for (const address of flags.announce)
    if (!address.startsWith('/')) throw peerFault.bad_address({ address, problem: 'it begins with no slash' })
  const [minutes, afterEntries] = [flags['witness-every'], flags['witness-after']]
  if (minutes < 1 || afterEntries < 1) throw fault.witnessing_invalid({})
  return {
    home,
    listen: listenAddresses(flags),
    announce: flags.announce,
    server: flags.server,
    isLanAnswered: !flags['no-lan'],
    dhtNodes: flags.dht || flags['dht-node'].length > 0 ? flags['dht-node'] : undefined,
    witnessing: { witnesses, everyMs: minutes * 60_000, afterEntries },
  }
}
