// One upstream as a door sees it: the layers over both eras, and its sessions.
import { asFault } from '../kernel/fault.ts'
import type { Clock } from '../kernel/clock.ts'
import { type Exchange, type Handler, type Layer, type Out, type Outcome, accepted, through } from '../base/mcp/exchange.ts'
import type { Endpoint } from '../base/mcp/scopes.ts'
import { fault } from './faults.ts'
import type { Sessions } from './sessions.ts'
import type { Upstream } from './upstream.ts'

export type EndpointNeeds = {
  readonly upstream: Upstream
  readonly sessions: Sessions
  readonly clock: Clock
  /** From the outside in: whether the gate still takes calls, who may, then what is recorded. */
  readonly layers: readonly Layer[]
}

export function createEndpoint({ upstream, sessions, clock, layers }: EndpointNeeds): Endpoint {
  const layered = (core: Handler): Handler => layers.reduceRight<Handler>((next, layer) => layer(next), timed(upstream, clock, core))

  const kit = { upstream, layer: layered }
  const modern = layered((exchange, out) => {
    if (exchange.frame.kind !== 'request') return Promise.resolve(accepted)
    return upstream.withModern(exchange.principal, exchange.frame, (leg) =>
      leg.request(exchange.frame, exchange.headers, out, exchange.abort),
    )
  })
  return {
    name: upstream.name,
    handle: modern,
    async open(exchange, out, side) {
      let opened: Awaited<ReturnType<Sessions['open']>> | undefined
      const outcome = await layered(async (inner, innerOut) => {
        opened = await sessions.open(kit, inner, innerOut, side)
        return opened.outcome
      })(exchange, out)
      return { session: opened?.session, outcome }
    },
    find: (id, principal, side) => sessions.find(kit, id, principal, side),
  }
}

/** Bounds how long a request may stay open, and turns what the upstream throws into an outcome. What is given up is cancelled at the server. */
function timed(upstream: Upstream, clock: Clock, core: Handler): Handler {
  const { requestTimeoutMs } = upstream.settings
  return async (exchange: Exchange, out: Out): Promise<Outcome> => {
    const isBounded = exchange.frame.kind === 'request' && exchange.frame.method !== 'subscriptions/listen'
    try {
      return isBounded ? await within(requestTimeoutMs, upstream.name, clock, core, exchange, out) : await core(exchange, out)
    } catch (error) {
      const known = asFault(error)
      return {
        is: 'notSent',
        fault: known.kind === 'bug' ? fault.upstream_refused({ upstream: upstream.name, reason: reasonOf(error) }, error) : known,
      }
    }
  }
}

async function within(timeoutMs: number, name: string, clock: Clock, core: Handler, exchange: Exchange, out: Out): Promise<Outcome> {
  const stop = new AbortController()
  const abort = (): void => stop.abort()
  exchange.abort.addEventListener('abort', abort, { once: true })
  if (exchange.abort.aborted) abort()
  let isOver = false
  let giveUp = (): void => {}
  const late = new Promise<Outcome>((resolve) => {
    giveUp = clock.after(timeoutMs, () => {
      isOver = true
      resolve({ is: 'unknown', fault: fault.timed_out({ upstream: name, timeoutMs }) })
      abort()
    })
  })
  try {
    const gated = through(out, (frame) => isOver || out.write(frame)) // what comes later is for nobody
    return await Promise.race([core({ ...exchange, abort: stop.signal }, gated), late])
  } finally {
    giveUp()
    exchange.abort.removeEventListener('abort', abort)
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
