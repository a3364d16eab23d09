// How the machine server itself is: whether it lives, whether it can serve, and whether all is well, each with the reasons why not.
import { dirname } from 'node:path'
import type { ToolServer } from '../base/mcp/tool/server.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Audit } from './audit.ts'
import type { OperateConfig } from './config.ts'
import type { HelperLink } from './helper/link.ts'
import { type Host, isKnown } from './host.ts'
import type { Metrics } from './metrics/metrics.ts'
import type { Places } from './places.ts'

export type HealthNeeds = {
  readonly clock: Clock
  readonly host: Host
  readonly helper: HelperLink
  readonly metrics: Metrics
  readonly audit: Pick<Audit, 'problem'>
  readonly appLog?: { readonly problem: string | undefined } | undefined
  readonly server: Pick<ToolServer, 'state'>
  readonly version: string
}

export type HealthSettings = {
  /** As they are now. */
  readonly limits: () => OperateConfig['health']
  readonly places: Places
  /** The helper belongs to this server: without it, it is not well. Else it is only told whether it is there. */
  readonly isHelperExpected: boolean
}

/** `live`: restart it if not. `ready`: it can do what it is for. `all`: nothing wants attention. */
export type Scope = 'live' | 'ready' | 'all'

type Check = { readonly ok: boolean; readonly reason?: string; /** It does not count. */ readonly optional?: true }
export type Health = {
  readonly status: 'ok' | 'unhealthy'
  readonly version: string
  readonly uptimeSeconds: number
  readonly sessions: number
  readonly checks: Readonly<Record<string, Check>>
}

export interface HealthWatch extends Disposable {
  look(scope: Scope): Promise<Health>
}

/** The loop of a server that works well turns every few milliseconds. */
const maxLagMs = 1_000
const beatMs = 1_000
const rememberedBeats = 10
/** So many intervals may pass without a sample. */
const maxIntervals = 3

const good: Check = { ok: true }
const bad = (reason: string): Check => ({ ok: false, reason })
const orGood = (reason: string | undefined): Check => (reason === undefined ? good : bad(reason))

/** Watches the event loop from now on. */
export function watchHealth(needs: HealthNeeds, settings: HealthSettings): HealthWatch {
  const { clock, server, version } = needs
  const startedAt = clock.mono()
  const lag = new LoopLag(clock)
  const checksOf = async (scope: Scope): Promise<Record<string, Check>> => {
    const lagMs = await lag.look()
    const live = { loop: lagMs <= maxLagMs ? good : bad(`the event loop was late by ${lagMs} ms`) }
    if (scope === 'live') return live
    const [proc, disk, helper] = await Promise.all([
      needs.host.text('/proc/uptime'),
      diskOf(needs.host, settings),
      helperOf(needs, settings.isHelperExpected),
    ])
    const ready = {
      ...live,
      proc: isKnown(proc) ? good : bad(proc.unavailable),
      tools: orGood(server.state.problem?.message),
      audit: orGood(needs.audit.problem),
      disk,
      helper,
    }
    if (scope === 'ready') return ready
    return {
      ...ready,
      log: orGood(needs.appLog?.problem && `app.log cannot be written: ${needs.appLog.problem}`),
      database: orGood(needs.metrics.state.problem?.message),
      sampling: samplingOf(needs.metrics),
    }
  }
  return {
    async look(scope) {
      const checks = await checksOf(scope)
      const status = Object.values(checks).every(({ ok, optional }) => ok || optional) ? 'ok' : 'unhealthy'
      return { status, version, uptimeSeconds: Math.round((clock.mono() - startedAt) / 1_000), sessions: server.state.sessions, checks }
    },
    [Symbol.dispose]: () => lag.stop(),
  }
}

/** Whoever asks how the server is does not wait long for the helper. */
const helperMs = 300

async function helperOf({ helper, clock }: Pick<HealthNeeds, 'helper' | 'clock'>, isExpected: boolean): Promise<Check> {
  const late = Promise.withResolvers<{ readonly ok: false; readonly reason: string }>()
  const cancel = clock.after(helperMs, () => late.resolve({ ok: false, reason: `it did not answer within ${helperMs} ms` }))
  const { ok, reason } = await Promise.race([helper.health(), late.promise]).finally(cancel)
  return ok ? good : { ...bad(reason ?? 'it does not answer'), ...(isExpected ? {} : { optional: true }) }
}

async function diskOf(host: Host, { limits, places }: HealthSettings): Promise<Check> {
  const leastMb = limits().least_free_mb
  for (const folder of [places.logs, dirname(places.metrics)]) {
    const space = await host.space(folder)
    if (isKnown(space) && space.availableBytes < leastMb * 2 ** 20)
      return bad(`there are ${Math.floor(space.availableBytes / 2 ** 20)} MiB free for ${folder}, less than ${leastMb}`)
  }
  return good
}

function samplingOf({ state: { intervalSeconds, sampleAgeMs } }: Metrics): Check {
  if (intervalSeconds === undefined || sampleAgeMs === undefined) return good // it was stopped, or never asked for
  const isLate = sampleAgeMs > (maxIntervals * intervalSeconds + 5) * 1_000
  return isLate ? bad(`the last sample was taken ${Math.round(sampleAgeMs / 1_000)} s ago`) : good
}

/** The latest that a timer was late in the last ten seconds: what callers had to wait for. */
class LoopLag {
  readonly #clock: Clock
  #lateMs: number[] = []
  #dueAt = 0
  #cancel = (): void => {}

  constructor(clock: Clock) {
    this.#clock = clock
    this.#beat()
  }

  async look(): Promise<number> {
    const askedAt = this.#clock.mono()
    await new Promise((resolve) => setImmediate(resolve))
    const now = this.#clock.mono()
    return Math.round(Math.max(now - askedAt, now - this.#dueAt, ...this.#lateMs))
  }

  stop(): void {
    this.#cancel()
  }

  #beat(): void {
    this.#dueAt = this.#clock.mono() + beatMs
    this.#cancel = this.#clock.after(beatMs, () => {
      this.#lateMs = [...this.#lateMs.slice(1 - rememberedBeats), this.#clock.mono() - this.#dueAt]
      this.#beat()
    })
  }
}
