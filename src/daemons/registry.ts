// The registry as a part of a node: loaded when it is started.
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'

export type RegistrySettings = {
  /** Holds the registry's own wallet and its records. */
  readonly folder: string
  readonly host: string
  /** 8765 by custom; 0 for any free one. */
  readonly port: number
  readonly announce?: readonly string[]
  readonly maxRecords?: number
}

/** Starts the registry; it ends by `close()`. */
export async function startRegistry(needs: { clock: Clock; log: Log }, { host, port, ...rest }: RegistrySettings) {
  const [{ startRegistry: start }, { listenAddress }] = await Promise.all([import('../reach/registry.ts'), import('../reach/listening.ts')])
  return start(needs, { ...rest, listen: [listenAddress(host, port)] })
}

export default startRegistry
