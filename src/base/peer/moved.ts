// Ends connections that go out from an address which this machine has no more (another network, another lease): nobody else would say that they lead nowhere.
import { networkInterfaces } from 'node:os'
import type { Connection } from '@libp2p/interface'
import type { Clock } from '../../kernel/clock.ts'

/** A look costs some 50 µs, and none without a connection. */
const lookMs = 250

/** Looks until the returned function is called; tells of each connection that it ends. */
export function endMoved(clock: Clock, open: () => readonly Connection[], tell: (localAddress: string) => void): () => void {
  let cancel = (): void => {}
  const look = (): void => {
    const connections = open()
    const ours = connections.length > 0 ? ownAddresses() : undefined
    for (const connection of connections) {
      const address = localAddressOf(connection)
      if (address === undefined || ours!.has(address)) continue
      tell(address)
      connection.abort(new Error('our address is another one now'))
    }
    cancel = clock.after(lookMs, look)
  }
  cancel = clock.after(lookMs, look)
  return () => cancel()
}

function ownAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((each) => each?.map(({ address }) => address) ?? []))
}

/** libp2p does not say it, but its socket does; a circuit has none. */
function localAddressOf(connection: Connection): string | undefined {
  const { maConn } = connection as { maConn?: { socket?: { localAddress?: string } } }
  return maConn?.socket?.localAddress?.replace(/^::ffff:/, '').replace(/%.*$/, '')
}
