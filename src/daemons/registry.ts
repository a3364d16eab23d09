// The registry as a part of a node.
import { listenAddress } from '../reach/node/listening.ts'
import { type MailboxSettings, type RegistryNeeds, type RelaySettings, startRegistry as start } from '../reach/registry/registry.ts'

export type RegistrySettings = {
  /** Holds the registry's own wallet and its records. */
  readonly folder: string
  readonly host: string
  /** 8765 by custom; 0 for any free one. */
  readonly port: number
  /** Multiaddrs, besides host and port. */
  readonly listen?: readonly string[]
  readonly announce?: readonly string[]
  readonly maxRecords?: number
  readonly mailbox?: MailboxSettings
  readonly relay?: RelaySettings
  readonly isDhtNode?: boolean
}

/** Starts the registry; it ends by `close()`. */
export async function startRegistry(needs: RegistryNeeds, { host, port, listen = [], ...rest }: RegistrySettings) {
  return start(needs, { ...rest, listen: [listenAddress(host, port), ...listen] })
}
