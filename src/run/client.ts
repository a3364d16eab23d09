// A node as commands reach it: through its sockets on this machine, or over HTTPS with a pinned authority and a token.
import { type ControlClient, controlClient } from '../base/control/client.ts'
import { httpsAddress, httpsWay } from '../base/control/https-way.ts'
import type { Way } from '../base/control/way.ts'
import { socketWay } from '../base/control/way.ts'
import type { Secret } from '../kernel/secret.ts'
import { nodeApi } from './node-api.ts'

export type NodeClient = ControlClient<typeof nodeApi>

/** The port of an agent where its address names none. */
export const nodePort = 9444

export type Address =
  | { readonly is: 'unix'; readonly folder: string }
  | { readonly is: 'https'; readonly host: string; readonly port: number }

/** `HOST[:9444]` or `unix:PATH` with an absolute path; undefined for anything else. */
export function addressOf(text: string): Address | undefined {
  const folder = /^unix:(\/[^\0]*)$/.exec(text)?.[1]
  if (folder !== undefined) return { is: 'unix', folder }
  const https = httpsAddress(text, nodePort)
  return https && { is: 'https', ...https }
}

/** `authority` and `bearer` are for HTTPS alone: who may open the socket needs none. */
export function nodeClient(
  address: Address,
  trust: { readonly authority: string; readonly bearer: Secret | undefined } | undefined,
): NodeClient {
  const way: Way = address.is === 'unix' ? socketWay(address.folder, 'change') : httpsWay(address, trust!)
  return controlClient(nodeApi, { daemon: 'node agent', way })
}
