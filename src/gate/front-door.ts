// The gate's door for HTTP: MCP at /mcp and /mcp/<upstream>, health beside it, the dashboard at /, and nothing told to whom it does not know.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { bareUri } from '../base/access/bare-uri.ts'
import type { Principal, Refused, Via } from '../base/access/principal.ts'
import { answerJson } from '../base/http/answer.ts'
import type { Ledger } from '../base/ledger/ledger.ts'
import { type Local, createHttpDoor } from '../base/mcp/door/http.ts'
import type { Endpoint } from '../base/mcp/scopes.ts'
import type { ScanLimits } from '../base/wire/walk.ts'
import type { WatchedCalls } from './calls/watched.ts'
import type { Connectors } from './connector/connectors.ts'
import type { Dashboard } from './dashboard/dashboard.ts'
import { answerHealth, healthPath } from './health.ts'
import { type Identify, assertionHeader } from './identify.ts'
import { type MetricsNeeds, answerMetrics, isMetricsPath } from './metrics-page.ts'
import type { ProtectedResource } from './protected-resource.ts'

export type FrontDoorNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly ledger: Ledger
  readonly endpoints: ReadonlyMap<string, Endpoint>
  /** All upstreams at once. */
  readonly all: Endpoint
  readonly identify: Identify
  readonly resource: Pick<ProtectedResource, 'metadata'>
  readonly health: MetricsNeeds
  readonly connectors: Connectors
  readonly watched: WatchedCalls
  readonly dashboard: Dashboard
}

export type FrontDoor = {
  /** Answers one request, whatever it is. `local`: whom the socket stands for now that it came in by. */
  handle(request: IncomingMessage, response: ServerResponse, local?: Local): void
  /** Credentials are others now: see `HttpDoor.recheck`. */
  recheck(): void
  /** Counts and records a request that was refused before it came here. */
  refused(reason: string, request: IncomingMessage, status: number): void
}

const maxRefusalsPerSecond = 50
const maxToldReason = 300
const mcpPath = /^\/mcp(?:\/([a-z0-9-]+))?(?:\?|$)/

export type FrontDoorSettings = {
  readonly limits: ScanLimits
  /** Principals who may read /metrics. */
  readonly metricsFor?: Pick<ReadonlySet<string>, 'has'>
}

export function createFrontDoor(needs: FrontDoorNeeds, { limits, metricsFor }: FrontDoorSettings): FrontDoor {
  const { clock, log, ledger, endpoints, all, identify, resource, health, connectors, watched, dashboard } = needs
  const noteRefusal = boundedRefusals(ledger, clock)
  const refused = (reason: string, request: IncomingMessage, status: number, via?: Via): void => {
    health.metrics.refusedWith(status)
    noteRefusal(reason, request, via)
    if (watched.isWatched)
      watched.tell({ time: clock.now(), method: request.method, outcome: 'refused', reason: reason.slice(0, maxToldReason) })
    log.debug('gate.refused', { reason, via, method: request.method })
  }
  const endpoint = (path: string): Endpoint | undefined => {
    const [, name] = mcpPath.exec(path)!
    return name === undefined ? all : endpoints.get(name)
  }
  const door = createHttpDoor({ endpoint, authenticate: identify, refused, limits })
  /** What is no MCP: health, and for strangers whether they may know that there is nothing. */
  const answer = async (request: IncomingMessage, response: ServerResponse, known: Principal | Refused): Promise<void> => {
    const isKnown = !('status' in known)
    const path = isKnown || showsNothing(request) ? healthPath(request) : undefined
    if (path) return answerHealth(health, path, isKnown, response)
    request.resume()
    if (isKnown && isMetricsPath(request)) {
      if (metricsFor?.has(known.name)) return answerMetrics(health, response)
      refused('the metrics are not for this principal', request, 403, known.via)
      return answerJson(response, 403, { error: "the metrics are for principals with metrics = true in the gate's configuration" })
    }
    if (isKnown) return answerJson(response, 404, { error: 'there is no such path: MCP is served at /mcp and /mcp/<upstream>' })
    // Whether a path exists is nobody's to know who has not proved who they are.
    refused(known.reason, request, known.status, known.via)
    answerJson(response, known.status, { error: known.reason }, known.headers)
  }
  return {
    refused,
    recheck() {
      door.recheck()
      dashboard.recheck()
    },
    handle(request, response, local) {
      if (mcpPath.test(request.url!)) return door.handle(request, response, local)
      if (connectors.door.takes(request)) return connectors.door.handle(request, response)
      if (dashboard.takes(request)) {
        const note = (reason: string, status: number): void => refused(reason, request, status)
        return dashboard.handle(request, response, () => identify(request, local?.()), note)
      }
      const metadata = resource.metadata(request.method, request.url!)
      if (metadata) {
        request.resume()
        return answerJson(response, 200, metadata, { 'access-control-allow-origin': '*' })
      }
      Promise.resolve(identify(request, local?.()))
        .then((known) => answer(request, response, known))
        .catch(() => response.destroy())
    },
  }
}

function showsNothing({ headers }: IncomingMessage): boolean {
  return headers.authorization === undefined && headers[assertionHeader] === undefined
}

/** A line per refusal at the door, but never so many that a stranger could fill the disk with them: the rest of a second is one line with their number. */
function boundedRefusals(ledger: Ledger, clock: Clock): (reason: string, request: IncomingMessage, via?: Via) => void {
  let inSecond = 0
  const record = (entry: Record<string, unknown>): void => void ledger.append({ event: 'refused', door: 'http', ...entry }).catch(() => {})
  const endSecond = (): void => {
    if (inSecond > maxRefusalsPerSecond) record({ further: inSecond - maxRefusalsPerSecond })
    inSecond = 0
  }
  return (reason, { method, url }, via) => {
    if (inSecond++ === 0) clock.after(1_000, endSecond)
    if (inSecond <= maxRefusalsPerSecond)
      record({
        ...(via ? { via } : {}),
        method,
        path: url === undefined ? undefined : bareUri(url).slice(0, 200),
        reason: reason.slice(0, maxToldReason),
      })
  }
}
