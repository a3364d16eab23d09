// What the gate counts, and how it tells it: every set of labels is bounded, whatever clients call things; nothing that may be a secret is a label.
import type { Clock } from '../kernel/clock.ts'
import type { Fault } from '../kernel/fault.ts'
import { type Exposition, Histogram, type Labels } from '../base/http/metrics.ts'
import { type Exchange, type Layer, type Outcome, through } from '../base/mcp/exchange.ts'
import { code } from '../base/mcp/protocol.ts'
import { type Frame, stringAt } from '../base/wire/frame.ts'
import type { CallCounts } from './calls/api.ts'
import type { WatchedCalls } from './calls/watched.ts'
import { outcomeName } from './record.ts'

/** Where a message was refused: at the door, before it was one of MCP; or by what decides over messages. */
type Door = 'http' | 'peers' | 'mcp'

/** Of its own are only methods that MCP has: another is `other`. */
const methods: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'server/discover',
  'tools/list',
  'tools/call',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'prompts/list',
  'prompts/get',
  'completion/complete',
  'logging/setLevel',
  'subscriptions/listen',
])

/** Seconds. */
const callBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
const delayBounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]
const delayEveryMs = 200

const maxSeries = 5_000
const maxToldLength = 512
const maxToolsPerUpstream = 100
const other = 'other'

/** What is counted of the calls of one principal to one tool. */
type Series = { readonly labels: Labels; readonly outcomes: Map<string, number>; readonly took: Histogram; readonly bytes: Bytes }
type Count = { readonly labels: Labels; count: number }
type Bytes = { readonly labels: Labels; received: number; sent: number }

export class GateMetrics {
  readonly #clock: Clock
  readonly #series = new Map<string, Series>()
  readonly #tools = new Map<string, Set<string>>()
  readonly #took = new Map<string, { readonly labels: Labels; readonly histogram: Histogram }>()
  readonly #bytes = new Map<string, Bytes>()
  readonly #refusals = new Map<string, Count>()
  readonly #failures = new Map<string, Count>()
  readonly #delays = new Histogram(delayBounds)
  readonly #startedAtMs: number
  readonly #watched: WatchedCalls
  #cancel: () => void = () => {}

  constructor(clock: Clock, watched: WatchedCalls) {
    this.#clock = clock
    this.#watched = watched
    this.#startedAtMs = clock.now()
    this.#watchDelay()
  }

  /** The layer that counts what goes to this upstream, refused or not. */
  layer(upstream: string): Layer {
    return (next) => async (exchange, out) => {
      if (exchange.frame.kind !== 'request') return next(exchange, out)
      const startedMs = this.#clock.mono()
      let sentBytes = 0
      let answer: Frame | undefined
      const outcome = await next(
        exchange,
        through(out, (frame) => {
          sentBytes += frame.bytes.length
          if (frame.kind === 'result' || frame.kind === 'error') answer = frame
          return out.write(frame)
        }),
      )
      this.count(upstream, exchange, outcome, answer, sentBytes, this.#clock.mono() - startedMs)
      return outcome
    }
  }

  /** One message that ended. Called for every one: with the layer around it 0.8 µs of CPU. */
  count(
    upstream: string,
    { frame, principal }: Exchange,
    outcome: Outcome,
    answer: Frame | undefined,
    sentBytes: number,
    tookMs: number,
  ): void {
    const name = outcomeName(outcome, answer)
    const method = frame.method !== undefined && methods.has(frame.method) ? frame.method : other
    const tool = method === 'tools/call' ? this.#toolLabel(upstream, stringAt(frame, frame.at.name) ?? '', name === 'ok') : ''
    const series = this.#seriesOf(principal.name, upstream, method, tool)
    series.outcomes.set(name, (series.outcomes.get(name) ?? 0) + 1)
    if (method !== 'subscriptions/listen') series.took.observe(tookMs / 1_000)
    series.bytes.received += frame.bytes.length
    series.bytes.sent += sentBytes
    if (outcome.is === 'refused') this.refused('mcp', kindOf(outcome.status ?? (outcome.code === code.denied ? 403 : 0), outcome.code))
    else if ('fault' in outcome) this.#failed(upstream, outcome.fault)
    if (this.#watched.isWatched) this.#tell(upstream, frame, principal.name, outcome, name, tookMs)
  }

  #tell(upstream: string, frame: Frame, principal: string, outcome: Outcome, how: string, ms: number): void {
    const method = frame.method?.slice(0, maxToldLength)
    const tool = method === 'tools/call' ? stringAt(frame, frame.at.name)?.slice(0, maxToldLength) : undefined
    const reason = outcome.is === 'refused' ? outcome.reason : 'fault' in outcome ? outcome.fault.message : undefined
    this.#watched.tell({
      time: this.#clock.now(),
      principal,
      upstream,
      method,
      name: tool,
      outcome: how,
      ms: Math.round(ms * 1_000) / 1_000,
      reason: reason?.slice(0, maxToldLength),
    })
  }

  /** What is limited is refused; all else is a failure, of which we have a name for each. */
  #failed(upstream: string, fault: Fault): void {
    if (fault.kind === 'limited') return this.refused('mcp', 'limited')
    const labels = { upstream, fault: fault.code }
    kept(this.#failures, `${upstream} ${fault.code}`, () => ({ labels, count: 0 })).count++
  }

  /** One refusal, of a kind that is one of few. */
  refused(door: Door, kind: string): void {
    kept(this.#refusals, `${door} ${kind}`, () => ({ labels: { door, kind }, count: 0 })).count++
  }

  /** One refusal at the HTTP door, by the status that it was answered with. */
  refusedWith(status: number): void {
    this.refused('http', kindOf(status, undefined))
  }

  /** What was counted so far, in the order in which it was first seen. */
  counts(): CallCounts {
    return {
      since: this.#startedAtMs,
      calls: [...this.#series.values()].map(({ labels, outcomes }) => ({
        ...(labels as Record<'principal' | 'upstream' | 'method' | 'tool', string>),
        outcomes: Object.fromEntries(outcomes),
      })),
      times: [...this.#took.values()].flatMap(({ labels, histogram }) => {
        const times = timesOf(histogram)
        return times ? [{ ...(labels as Record<'upstream' | 'method' | 'tool', string>), ...times }] : []
      }),
      refusals: [...this.#refusals.values()].map(({ labels, count }) => ({ ...(labels as Record<'door' | 'kind', string>), count })),
      failures: [...this.#failures.values()].map(({ labels, count }) => ({ ...(labels as Record<'upstream' | 'fault', string>), count })),
    }
  }

  write(to: Exposition): void {
    const all = [...this.#series.values()]
    to.counter(
      'fairlead_gate_requests_total',
      'MCP requests that ended, by how.',
      all.flatMap(({ labels, outcomes }) => [...outcomes].map(([outcome, count]) => [{ ...labels, outcome }, count] as const)),
    )
    to.histogram(
      'fairlead_gate_request_duration_seconds',
      'From the request to the end of its answer, in seconds.',
      [...this.#took.values()].map(({ labels, histogram }) => [labels, histogram]),
    )
    const bytes = [...this.#bytes.values()]
    to.counter(
      'fairlead_gate_received_bytes_total',
      'Bytes of requests.',
      bytes.map(({ labels, received }) => [labels, received]),
    )
    to.counter(
      'fairlead_gate_sent_bytes_total',
      'Bytes of answers, and of what came before them.',
      bytes.map(({ labels, sent }) => [labels, sent]),
    )
    to.counter(
      'fairlead_gate_refusals_total',
      'What was refused and never forwarded, by the kind of reason.',
      [...this.#refusals.values()].map(({ labels, count }) => [labels, count]),
    )
    to.counter(
      'fairlead_gate_failures_total',
      'Requests that were let through and got no answer of the server, by the code of the fault that the client was told.',
      [...this.#failures.values()].map(({ labels, count }) => [labels, count]),
    )
    to.histogram('fairlead_event_loop_delay_seconds', 'How late a timer ran, in seconds: what every request may have waited.', [
      [{}, this.#delays],
    ])
    to.gauge('fairlead_gate_uptime_seconds', 'Since this gate was started.', [[{}, (this.#clock.now() - this.#startedAtMs) / 1_000]])
    to.gauge('process_start_time_seconds', 'When this gate was started, in seconds since 1970.', [[{}, this.#startedAtMs / 1_000]])
  }

  close(): void {
    this.#cancel()
  }

  /** A name is a label after its first success only: what a client makes up takes nobody's place. */
  #toolLabel(upstream: string, name: string, isSuccess: boolean): string {
    let tools = this.#tools.get(upstream)
    if (!tools) this.#tools.set(upstream, (tools = new Set()))
    if (tools.has(name)) return name
    if (!isSuccess || tools.size >= maxToolsPerUpstream || name.length > 128) return other
    tools.add(name)
    return name
  }

  #seriesOf(principal: string, upstream: string, method: string, tool: string): Series {
    const key = `${principal}\n${upstream}\n${method}\n${tool}`
    const present = this.#series.get(key)
    if (present) return present
    if (this.#series.size >= maxSeries && principal !== other) return this.#seriesOf(other, upstream, other, '')
    const labels = { principal, upstream, method, tool }
    const { histogram: took } = kept(this.#took, `${upstream}\n${method}\n${tool}`, () => ({
      labels: { upstream, method, tool },
      histogram: new Histogram(callBounds),
    }))
    const bytes = kept(this.#bytes, `${principal}\n${upstream}`, () => ({ labels: { principal, upstream }, received: 0, sent: 0 }))
    return kept(this.#series, key, () => ({ labels, outcomes: new Map(), took, bytes }))
  }

  #watchDelay(): void {
    const dueMs = this.#clock.mono() + delayEveryMs
    this.#cancel = this.#clock.after(delayEveryMs, () => {
      this.#delays.observe(Math.max(0, this.#clock.mono() - dueMs) / 1_000)
      this.#watchDelay()
    })
  }
}

function kept<T>(table: Map<string, T>, key: string, make: () => T): T {
  let present = table.get(key)
  if (present === undefined) table.set(key, (present = make()))
  return present
}

/** Undefined: nothing was observed. */
function timesOf({ counts, bounds, sum }: Histogram): Omit<CallCounts['times'][number], 'upstream' | 'method' | 'tool'> | undefined {
  const count = counts.reduce((all, one) => all + one, 0)
  if (count === 0) return undefined
  const atMost = (share: number): number | null => {
    let seen = 0
    const at = counts.findIndex((one) => (seen += one) >= share * count)
    return bounds[at] === undefined ? null : bounds[at] * 1_000
  }
  return { count, meanMs: (sum / count) * 1_000, p50Ms: atMost(0.5), p95Ms: atMost(0.95), p99Ms: atMost(0.99) }
}

const kinds: Readonly<Record<number, string>> = {
  400: 'malformed',
  401: 'unauthenticated',
  403: 'denied',
  404: 'missing',
  405: 'malformed',
  406: 'malformed',
  409: 'conflict',
  413: 'too_large',
  415: 'malformed',
  429: 'limited',
  500: 'bug',
  503: 'limited',
}

function kindOf(status: number, errorCode: number | undefined): string {
  return kinds[status] ?? (errorCode === undefined || errorCode === code.denied ? 'denied' : other)
}
