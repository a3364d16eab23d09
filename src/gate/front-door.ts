// The gate's door for HTTP: MCP at /mcp and /mcp/<upstream>, health beside it, and nothing told to whom it does not know.
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../kernel/clock.ts'
import { bareUri } from '../base/access/bare-uri.ts'
import { type Principal, bearerToken } from '../base/access/principal.ts'
import { answerJson } from '../base/http/answer.ts'
import { type Listener, openListener } from '../base/http/listener.ts'
import type { Ledger } from '../base/ledger/ledger.ts'
import { createHttpDoor } from '../base/mcp/door/http.ts'
import type { Endpoint } from '../base/mcp/scopes.ts'
import type { ScanLimits } from '../base/wire/walk.ts'
import { type HealthNeeds, answerHealth, healthPath } from './health.ts'
import type { PeerDoorNeeds } from './peer-door.ts'

export type FrontDoorNeeds = PeerDoorNeeds & { readonly health: HealthNeeds; /** All upstreams at once. */ readonly all: Endpoint }

export type FrontDoorSettings = {
  readonly host: string
  readonly port: number
  /** Further names under which clients reach it. */
  readonly ownHosts: readonly string[]
  /** Who everyone is that shows no credential; undefined: nobody. */
  readonly door: string | undefined
  readonly limits: ScanLimits
}

const maxRefusalsPerSecond = 50

/** Listens. Faults: `http.port_busy`, `http.cannot_listen`. */
export function openFrontDoor(needs: FrontDoorNeeds, settings: FrontDoorSettings): Promise<Listener> {
  const { clock, log, ledger, directory, endpoints, all, health } = needs
  const { host, port, ownHosts, limits } = settings
  const stranger: Principal | undefined = settings.door === undefined ? undefined : { name: settings.door, via: 'door' }
  const noteRefusal = boundedRefusals(ledger, clock)
  const refused = (reason: string, request: IncomingMessage): void => {
    noteRefusal(reason, request)
    log.debug('gate.refused', { reason, method: request.method })
  }
  const endpoint = (path: string): Endpoint | undefined => {
    const [found, name] = /^\/mcp(?:\/([a-z0-9-]+))?(?:\?|$)/.exec(path) ?? []
    if (found === undefined) return undefined
    return name === undefined ? all : endpoints.get(name)
  }
  const authenticate = ({ headers: { authorization } }: IncomingMessage): Principal | undefined => {
    if (authorization === undefined) return stranger
    const token = bearerToken(authorization)
    return token === undefined ? undefined : directory.byToken(token)
  }
  const door = createHttpDoor({ endpoint, authenticate, refused, limits })
  return openListener({
    clock,
    name: 'the gate',
    host,
    port,
    ownHosts,
    handle(request, response) {
      if (endpoint(request.url!)) return door.handle(request, response)
      const principal = authenticate(request)
      const path = principal || request.headers.authorization === undefined ? healthPath(request) : undefined
      if (path) return void answerHealth(health, path, principal !== undefined, response).catch(() => response.destroy())
      request.resume()
      if (principal) return answerJson(response, 404, { error: 'there is no such path: MCP is served at /mcp and /mcp/<upstream>' })
      // Whether a path exists is nobody's to know who has not proved who they are.
      refused('a valid credential is needed', request)
      response.setHeader('www-authenticate', 'Bearer realm="fairlead"')
      answerJson(response, 401, { error: 'a valid credential is needed' })
    },
  })
}

/** A line per refusal at the door, but never so many that a stranger could fill the disk with them: the rest of a second is one line with their number. */
function boundedRefusals(ledger: Ledger, clock: Clock): (reason: string, request: IncomingMessage) => void {
  let inSecond = 0
  const record = (entry: Record<string, unknown>): void => void ledger.append({ event: 'refused', door: 'http', ...entry }).catch(() => {})
  const endSecond = (): void => {
    if (inSecond > maxRefusalsPerSecond) record({ further: inSecond - maxRefusalsPerSecond })
    inSecond = 0
  }
  return (reason, { method, url }) => {
    if (inSecond++ === 0) clock.after(1_000, endSecond)
    if (inSecond <= maxRefusalsPerSecond)
      record({ method, path: url === undefined ? undefined : bareUri(url).slice(0, 200), reason: reason.slice(0, 300) })
  }
}
