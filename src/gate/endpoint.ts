// One upstream as a door sees it: the layers over both eras, and its sessions.
import type { Clock } from '../kernel/clock.ts'
import { asFault } from '../kernel/fault.ts'
import { type Log, silentLog } from '../kernel/log.ts'
import {
  type Exchange,
  type Handler,
  type Layer,
  type Out,
  type Outcome,
  accepted,
  answered,
  neverAborted,
  through,
} from '../base/mcp/exchange.ts'
import { beforeSending, outcomeOf } from '../base/mcp/leg/before-sending.ts'
import type { Endpoint, Opened } from '../base/mcp/scopes.ts'
import type { Frame } from '../base/wire/frame.ts'
import type { Sink } from '../base/wire/wire.ts'
import { fault } from './faults.ts'
import { isListChanged } from './pin/layer.ts'
import type { Sessions, WatchedSink } from './sessions.ts'
import type { Served } from './upstream.ts'

export type EndpointNeeds = {
  readonly upstream: Served
  readonly sessions: Sessions
  readonly clock: Clock
  /** Told of defects; absent: nobody is. */
  readonly log?: Log
  /** From the outside in: whether the gate still takes calls, who may, then what is recorded. */
  readonly layers: readonly Layer[]
  /** Told when a session's server says that its tools are others now. */
  readonly listChanged?: (session: string) => void
}

export type GateEndpoint = Endpoint & {
  /** Opens a session that is a part of another one, and lives as long as that is awake. */
  openPart(exchange: Exchange, out: Out, side: Sink): Promise<Opened>
}

export function createEndpoint(needs: EndpointNeeds): GateEndpoint {
  const { upstream, sessions, clock, log = silentLog, layers, listChanged = () => {} } = needs
  const layered = (core: Handler): Handler =>
    surviving(
      upstream.name,
      log,
      layers.reduceRight<Handler>((next, layer) => layer(next), timed(upstream, clock, log, core)),
    )

  const kit = { upstream, layer: layered }
  const modern = layered((exchange, out) => {
    if (exchange.frame.kind !== 'request') return Promise.resolve(accepted)
    return upstream.withModern(exchange.principal, exchange.frame, (leg) =>
      leg.request(exchange.frame, exchange.headers, out, exchange.abort, exchange.principal.name),
    )
  })
  const opening = async (exchange: Exchange, out: Out, side: WatchedSink, open: Sessions['open']): Promise<Opened> => {
    let opened: Opened | undefined
    const outcome = await layered(async (inner, innerOut) => {
      const noticed = noticing(side, () => opened?.session && listChanged(opened.session.id))
      opened = await beforeSending(open(kit, inner, innerOut, noticed)) // one that fails leaves nothing behind
      return opened.outcome
    })(exchange, out)
    return { session: opened?.session, outcome }
  }
  return {
    name: upstream.name,
    handle: modern,
    open: (exchange, out, side) => opening(exchange, out, side, (...given) => sessions.open(...given)),
    openPart: (exchange, out, side) => opening(exchange, out, side, (...given) => sessions.openPart(...given)),
    find: (id, principal, side) => sessions.find(kit, id, principal, () => noticing(side(), () => listChanged(id))),
  }
}

/** The same side of a session, with an ear for lists that change. */
function noticing(side: WatchedSink, changed: () => void): WatchedSink {
  return {
    write(frame: Frame) {
      if (isListChanged(frame)) changed()
      return side.write(frame)
    },
    room: () => side.room(),
    get isAttached() {
      return side.isAttached ?? false
    },
    end: () => side.end?.(),
  }
}

/** Outside everything: a message that makes a layer throw costs its sender an error, and nobody else anything. It may have been sent, so it is not tried again. */
function surviving(name: string, log: Log, inner: Handler): Handler {
  return async (exchange, out) => {
    try {
      return await inner(exchange, out)
    } catch (error) {
      log.error('gate.defect', { upstream: name, method: exchange.frame.method, error })
      return { is: 'unknown', fault: asFault(error) }
    }
  }
}

/**
 * Bounds how long a request may stay open, and turns what the upstream throws into an outcome: never into another one than the client was already told.
 * What is given up is cancelled at the server.
 */
function timed(upstream: Served, clock: Clock, log: Log, core: Handler): Handler {
  return async (exchange: Exchange, out: Out): Promise<Outcome> => {
    const isBounded = exchange.frame.kind === 'request' && exchange.frame.method !== 'subscriptions/listen'
    let isAnswered = false
    const { requestTimeoutMs } = upstream.settings
    const noticing = through(out, (frame) => {
      isAnswered ||= frame.kind === 'result' || frame.kind === 'error'
      return out.write(frame)
    })
    const { breaker } = upstream // asked each time: a reload makes another
    const alone = isBounded ? breaker?.refusal(exchange.principal.name) : undefined
    if (alone) return { is: 'notSent', fault: alone }
    try {
      const outcome = isBounded
        ? await within(requestTimeoutMs, upstream.name, clock, core, exchange, noticing)
        : await core(exchange, noticing)
      if (isAnswered) breaker?.answered(exchange.principal.name)
      else if (outcome.is === 'unknown' && outcome.fault.code === 'gate.timed_out') breaker?.silent(exchange.principal.name)
      return outcome
    } catch (error) {
      const at = { upstream: upstream.name, method: exchange.frame.method }
      if (isAnswered) {
        log.warn('gate.after_answer', { ...at, error: asFault(error) })
        return answered
      }
      const outcome = outcomeOf(error)
      if (outcome.is !== 'notSent') log.error('gate.defect', { ...at, error })
      else if (outcome.fault.kind === 'bug')
        return { ...outcome, fault: fault.upstream_refused({ upstream: upstream.name, reason: reasonOf(error) }, error) }
      return outcome
    }
  }
}

function within(timeoutMs: number, name: string, clock: Clock, core: Handler, exchange: Exchange, out: Out): Promise<Outcome> {
  const stop = new AbortController()
  const abort = (): void => stop.abort()
  if (exchange.abort !== neverAborted) {
    exchange.abort.addEventListener('abort', abort, { once: true })
    if (exchange.abort.aborted) abort()
  }
  return new Promise((resolve, reject) => {
    let isOver = false
    const giveUp = clock.after(timeoutMs, () => {
      isOver = true
      resolve({ is: 'unknown', fault: fault.timed_out({ upstream: name, timeoutMs }) })
      abort()
    })
    const gated = through(out, (frame) => isOver || out.write(frame)) // what comes later is for nobody
    core({ ...exchange, abort: stop.signal }, gated)
      .then(resolve, reject)
      .finally(() => {
        giveUp()
        if (exchange.abort !== neverAborted) exchange.abort.removeEventListener('abort', abort)
      })
  })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
