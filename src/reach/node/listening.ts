// Where a peer host listens: from `--host` and `--port` to multiaddrs.
import { isIP } from 'node:net'
import type { Flag } from '../../base/terminal/command.ts'
import { fault } from '../faults.ts'

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
export const findableFlags = {
  'no-lan': { summary: 'do not answer who asks for this peer by its id on the local network' },
  dht: { summary: 'take part in the distributed hash table of peers, beginning at the registry and at nodes met before' },
  'dht-node': { value: 'MULTIADDR', repeat: true, summary: 'the same, beginning there, too' },
} as const satisfies Record<string, Flag>

/** Where those flags say to listen. Fault `reach.host_invalid`. */
export function listenAddresses(flags: { host: string; port: number; listen: readonly string[] }): readonly string[] {
  return [listenAddress(flags.host, flags.port), ...flags.listen]
}

/** The multiaddr of an IP address (or `localhost`) and a port, 0 for any free one; fault `reach.host_invalid`. */
export function listenAddress(host: string, port: number): string {
  const address = host === 'localhost' ? '127.0.0.1' : host
  const version = isIP(address)
  if (version === 0) throw fault.host_invalid({ host })
  return `/ip${version}/${address}/tcp/${port}`
}
