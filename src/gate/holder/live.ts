// What the gate that runs says of its connectors and of itself, at this moment: the evidence that no file can give.
import type { Clock } from '../../kernel/clock.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { ConnectorState } from '../api.ts'
import type { GateCalls } from '../client.ts'
import { fault } from '../faults.ts'
import type { Gateway } from './gateway.ts'
import { accepted } from './holder.ts'

/** `unpinned`: of tools, how many upstreams have none pinned. */
export type HealthCheck = { readonly ok: boolean; readonly reason: string; readonly unpinned: number }

export type Live = {
  /** By id. */
  readonly connectors: ReadonlyMap<string, ConnectorState>
  readonly health: Readonly<Record<string, HealthCheck>>
}

const timeoutMs = 5_000

/** `gate`: its own API on this machine, which only its owner can open; absent: it is not asked. */
export type LiveSettings = { readonly tokens: readonly Secret[]; readonly gate?: GateCalls | undefined }

/** Asks over HTTP with the credentials there are; with none, the gate's own API. Faults of `Gateway` and of `base/control`. */
export async function liveEvidence({ gateway }: { readonly gateway: Gateway }, { tokens, gate }: LiveSettings): Promise<Live> {
  const health = await gateway.send({ method: 'GET', path: '/health', timeoutMs })
  const asked =
    tokens.length > 0
      ? await Promise.all(
          tokens.map(async (token) => accepted(await gateway.send({ method: 'GET', path: '/connectors', token, timeoutMs }))),
        )
      : gate
        ? [{ connectors: await gate['list-connectors']({}) }]
        : []
  const states = asked.flatMap(({ connectors }) => (Array.isArray(connectors) ? (connectors as readonly ConnectorState[]) : []))
  if (!states.every(isState)) throw fault.gateway_answer({ problem: 'the connectors are not told as they should be' })
  return { connectors: new Map(states.map((state) => [state.connector_id, state])), health: healthIn(health.body['checks']) }
}

const settleMs = 5_000
const pollMs = 100

/**
 * The same, once no rotation is just being concluded: a handshake that was the last proof that one waited for has changed what there is to tell. Waits 5 s at most; then what is
 * told still holds, and another holder is waited for.
 */
export async function settledEvidence(needs: { readonly clock: Clock; readonly gateway: Gateway }, settings: LiveSettings): Promise<Live> {
  for (const sinceMs = needs.clock.mono(); ;) {
    const live = await liveEvidence(needs, settings)
    const isConcluding = [...live.connectors.values()].some(({ rotation }) => rotation?.proved === true)
    if (!isConcluding || needs.clock.mono() - sinceMs > settleMs) return live
    await needs.clock.wait(pollMs)
  }
}

function isState(state: Partial<ConnectorState> | null): boolean {
  return (
    typeof state?.connector_id === 'string' &&
    typeof state.status === 'string' &&
    typeof state.window_hours === 'number' &&
    Array.isArray(state.sessions) &&
    state.sessions.every((one) => typeof one?.id === 'string' && Array.isArray(one.accepted_contexts))
  )
}

function healthIn(checks: unknown): Live['health'] {
  const entries = Object.entries((checks ?? {}) as Record<string, Partial<HealthCheck> | null>)
  return Object.fromEntries(
    entries.map(([name, one]) => [name, { ok: one?.ok === true, reason: String(one?.reason).slice(0, 300), unpinned: one?.unpinned ?? 0 }]),
  )
}
