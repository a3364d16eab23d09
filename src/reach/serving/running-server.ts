// An MCP server that runs already: at a URL (Streamable HTTP), or at a socket of this machine, one frame a line. Each client session is one of its own there.
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { HttpClient } from '../../base/http/client.ts'
import { bareUri } from '../../base/access/bare-uri.ts'
import { legWire } from '../../base/mcp/leg/as-wire.ts'
import { HttpLeg } from '../../base/mcp/leg/http.ts'
import { connectUnix } from '../../base/wire/unix.ts'
import type { WireLimits } from '../../base/wire/walk.ts'
import type { Wire } from '../../base/wire/wire.ts'
import { fault } from '../faults.ts'
import { renewedWire } from './renewed-wire.ts'

/** `unix:PATH` or a URL of http or https, without credentials: what stands on a command line is read by everybody here. */
export type Target = { readonly path: string } | { readonly url: URL }

/** Reads what `--to` says; fault `reach.target_invalid`. */
export function targetOf(text: string): Target {
  const path = /^unix:(.+)$/.exec(text)?.[1]
  if (path !== undefined) return { path }
  const url = /^https?:\/\//.test(text) && URL.canParse(text) ? new URL(text) : undefined
  if (!url) throw fault.target_invalid({ target: bareUri(text) })
  if (url.username !== '' || url.password !== '') throw fault.target_has_credentials({ target: bareUri(text) })
  return { url }
}

type RunningServerNeeds = { readonly clock: Clock; readonly log: Log; readonly client: HttpClient }

/** A new session at the server, as a wire that ends only by `close()`, which ends the session there. When the server is away, requests get an error that names it. */
export function runningServer({ clock, log, client }: RunningServerNeeds, target: Target, limits: WireLimits): Wire {
  if ('path' in target) {
    const { path } = target
    return renewedWire({ open: () => connectUnix(path, { limits }), lost: ({ why }) => fault.socket_ended({ path, how: why }), clock, log })
  }
  const { url } = target
  const name = bareUri(url.href)
  return legWire({
    name,
    open: async (era, side) => new HttpLeg({ client, clock, url, era, name, headers: {}, side, limits }),
    log,
    budget: limits.budget,
  })
}
