// Whether the gate lives, and whether it can do its work: each check with its reason.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { asFault } from '../kernel/fault.ts'
import type { KeySet } from '../base/access/key-set.ts'
import { answerJson } from '../base/http/answer.ts'
import { visibleText } from '../base/terminal/visible.ts'
import type { Bucket } from '../base/kv/kv.ts'
import type { Connectors } from './connector/connectors.ts'
import type { Drain } from './drain.ts'
import type { Pins } from './pin/pins.ts'
import type { Upstream } from './upstream.ts'
import type { WatchedLedger } from './watched-ledger.ts'

export type HealthNeeds = {
  readonly ledger: WatchedLedger
  readonly bucket: Bucket
  readonly upstreams: () => readonly Upstream[]
  readonly drain: Drain
  /** Of those whose signed tokens are taken. */
  readonly keySets: readonly KeySet[]
  readonly connectors: Connectors
  readonly pins: Pins
  /** Why the configuration was not taken when it was last read again. */
  readonly reloads: { readonly problem: string | undefined }
  /** Of daemons whose offers are followed. */
  readonly offers: () => readonly (readonly [source: string, problem: string | undefined])[]
}

/** `ok` as a whole, when every check that the gate cannot work without is; a server that fails, or keys that cannot be had, make it `degraded`, since others go on. */
export type Health = { readonly status: 'ok' | 'degraded' | 'failing'; readonly checks: Readonly<Record<string, Check>> }
type Check = {
  readonly ok: boolean
  readonly reason: string
  /** Of tools: upstreams of which none is pinned. */ readonly unpinned?: number
}

/** The path, when it is one of these. `/livez`: the process answers. `/readyz`, `/health`: it can take calls, else 503. */
export function healthPath({ url, method }: IncomingMessage): '/livez' | '/readyz' | '/health' | undefined {
  if (method !== 'GET' && method !== 'HEAD') return undefined
  const path = url?.split('?', 1)[0]
  return path === '/livez' || path === '/readyz' || path === '/health' ? path : undefined
}

/** Names of servers, and why they fail, are only for those who have proved who they are. */
export async function answerHealth(needs: HealthNeeds, path: string, isKnown: boolean, response: ServerResponse): Promise<void> {
  if (path === '/livez') return answerJson(response, 200, { status: 'ok' })
  const health = await healthOf(needs, isKnown)
  answerJson(response, health.status === 'failing' ? 503 : 200, health)
}

/** How it stands now; `isKnown`: for somebody who has proved who they are. */
export async function healthOf(
  { ledger, bucket, upstreams, drain, keySets, connectors, pins, reloads, offers }: HealthNeeds,
  isKnown: boolean,
): Promise<Health> {
  const needed: Record<string, Check> = {
    gate: drain.isDraining ? { ok: false, reason: 'it is stopping' } : { ok: true, reason: 'it takes calls' },
    ledger: await checked('the last entry was written', async () => {
      // Only a gate that could not record writes an entry for this: nothing else would tell it that it can again.
      if (ledger.problem) await ledger.append({ event: 'health', checks: 'ledger' })
    }),
    sessions: await checked('they can be read', () => bucket.get('health')),
  }
  const states = upstreams().map(({ name, state }) => [name, state] as const)
  const failing = states.filter(([, { is }]) => is === 'failing').length
  const servers: Record<string, Check> = isKnown
    ? Object.fromEntries(
        states.map(([name, state]) => [
          `upstream ${name}`,
          state.is === 'failing'
            ? {
                ok: false,
                reason: failingText(state.reason, state.retryInMs),
              }
            : { ok: true, reason: state.is === 'ready' ? 'it answered when it was last opened' : 'nobody has used it yet' },
        ]),
      )
    : { upstreams: { ok: failing === 0, reason: `${failing} of ${states.length} fail` } }
  const absent = keySets.filter(({ problem }) => problem !== undefined)
  const keys = keySets.map(({ name, problem }) => [
    `keys of ${name}`,
    problem === undefined ? { ok: true, reason: 'nothing was wrong when they were last asked for' } : { ok: false, reason: problem },
  ])
  const ailing = connectors.states().filter(({ status }) => status === 'late' || status === 'stale' || status === 'frozen')
  const holders: Record<string, Check> = isKnown
    ? Object.fromEntries(ailing.map(({ connector_id: id, status }) => [`connector ${id}`, { ok: false, reason: `it is ${status}` }]))
    : ailing.length > 0
      ? { connectors: { ok: false, reason: `${ailing.length} are late, stale or frozen` } }
      : {}
  const held = heldTools(pins)
  const tools: Check = {
    ok: held.length === 0,
    reason: held.length === 0 ? 'none is in quarantine' : 'some are in quarantine',
    unpinned: pins.unpinned,
  }
  const quarantine = held.map(([upstream, names]): [string, Check] => [
    `tools of ${upstream}`,
    { ok: false, reason: `in quarantine: ${names}; see: fairlead gate approve` },
  ])
  const sources = offers().filter(([, lacks]) => lacks !== undefined)
  const daemons: Record<string, Check> = isKnown
    ? Object.fromEntries(sources.map(([source, lacks]) => [`offers of ${source}`, { ok: false, reason: lacks! }]))
    : sources.length > 0
      ? { offers: { ok: false, reason: `${sources.length} of those who offer servers do not answer, or offer what cannot be used` } }
      : {}
  const { problem } = reloads
  const configuration: Check =
    problem === undefined
      ? { ok: true, reason: 'what its file says is in force' }
      : { ok: false, reason: isKnown ? problem : 'what its file says now could not be taken' }
  const isReady = Object.values(needed).every(({ ok }) => ok)
  const isDegraded = !configuration.ok || failing + absent.length + ailing.length + held.length + sources.length > 0
  return {
    status: !isReady ? 'failing' : isDegraded ? 'degraded' : 'ok',
    checks: {
      ...needed,
      configuration,
      ...servers,
      ...(isKnown ? Object.fromEntries([...keys, ...quarantine]) : {}),
      ...holders,
      tools,
      ...daemons,
    },
  }
}

function failingText(reason: string, retryInMs: number | undefined): string {
  return retryInMs === undefined ? reason : `${reason}; the next try may be in ${Math.ceil(retryInMs / 100) / 10} s`
}

const maxToldTools = 20

/** Tools in quarantine by upstream, in words. Their names come from outside and are told as text that shows itself. */
function heldTools(pins: Pins): [upstream: string, names: string][] {
  return Object.entries(Object.groupBy(pins.held(), ({ upstream }) => upstream)).map(([upstream, all = []]) => {
    const names = all.slice(0, maxToldTools).map(({ tool }) => visibleText(tool.slice(0, 64)))
    return [upstream, [...names, ...(all.length > maxToldTools ? [`${all.length - maxToldTools} more`] : [])].join(', ')]
  })
}

async function checked(fine: string, check: () => Promise<unknown>): Promise<Check> {
  try {
    await check()
    return { ok: true, reason: fine }
  } catch (error) {
    return { ok: false, reason: asFault(error).message }
  }
}
