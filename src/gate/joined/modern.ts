// A stateless request to all upstreams, and one listen stream out of theirs.
import type { Clock } from '../../kernel/clock.ts'
import type { Principal } from '../../base/access/principal.ts'
import { type Frame, splice } from '../../base/wire/frame.ts'
import { locate } from '../../base/wire/locate.ts'
import { rescan, scan } from '../../base/wire/scan.ts'
import { type Wanted, isWanted } from '../../base/mcp/bridge/modern-shapes.ts'
import { withMeta } from '../../base/mcp/envelope.ts'
import { type Leg, type McpHeaders, type Out, type Outcome, accepted, answered, cancelled } from '../../base/mcp/exchange.ts'
import { errorFrame, idToken, paramsOf, resultFrame } from '../../base/mcp/message.ts'
import { code, meta, modernVersions } from '../../base/mcp/protocol.ts'
import { Dispatch, type DispatchNeeds, type DispatchSettings, type Reach } from './dispatch.ts'
import { listChanged } from './legacy.ts'
import { capabilities, instructions, serverInfo } from './offer.ts'
import type { Parts } from './parts.ts'

/** Told when upstreams came or went. */
export type Listener = { changed(): void }

const firstRestMs = 1_000
const mostRestMs = 60_000

export class JoinedModern implements Leg {
  readonly era = 'modern' as const
  readonly tellsApart = true
  readonly ended = new Promise<string>(() => {})
  readonly #needs: { readonly parts: Parts; readonly principal: Principal; readonly clock: Clock; readonly listeners: Set<Listener> }
  readonly #settings: DispatchSettings
  readonly #reach: Reach
  readonly #dispatch: Dispatch

  constructor(
    needs: { readonly parts: Parts; readonly principal: Principal; readonly clock: Clock; readonly listeners: Set<Listener> },
    dispatch: { readonly needs: DispatchNeeds; readonly settings: DispatchSettings },
  ) {
    this.#needs = needs
    this.#settings = dispatch.settings
    const { parts, principal, listeners } = needs
    this.#reach = {
      era: 'modern',
      principal: principal.name,
      names: () => parts.names(principal),
      mayRead: (upstream, uri) => parts.mayRead(principal, upstream, uri),
      refuse: (frame, reason) =>
        parts.refuse({ frame, era: 'modern', principal, headers: {}, abort: new AbortController().signal }, reason),
      send: async (upstream, frame, headers, out, abort) => {
        const outcome = await parts.handle(upstream, { frame, era: 'modern', principal, headers, abort }, out)
        if (outcome.is !== 'refused') return outcome
        const { status: _, ...rest } = outcome
        return rest
      },
      late: () => {
        for (const listener of listeners) listener.changed()
      },
    }
    this.#dispatch = new Dispatch(dispatch.needs, dispatch.settings, this.#reach)
  }

  async request(frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    if (frame.method === 'server/discover') {
      const about = {
        resultType: 'complete',
        supportedVersions: modernVersions,
        capabilities,
        instructions,
        ttlMs: 0,
        cacheScope: 'private',
      }
      out.write(resultFrame(idToken(frame), { ...about, _meta: { [meta.serverInfo]: serverInfo } }))
      return answered
    }
    if (frame.method === 'subscriptions/listen') return this.#listen(frame, headers, out, abort)
    const isGone = frame.method === 'resources/subscribe' || frame.method === 'resources/unsubscribe'
    const sent = isGone ? undefined : this.#dispatch.request(frame, headers, out, abort)
    if (sent) return sent
    out.write(errorFrame(idToken(frame), code.methodNotFound, 'Method not found at the endpoint for all upstreams: use /mcp/UPSTREAM'))
    return { is: 'answered', status: 404 }
  }

  async send(): Promise<Outcome> {
    return accepted
  }

  async listen(): Promise<boolean> {
    return false
  }

  async close(): Promise<void> {}

  /** Every upstream is listened to for as long as the client listens; one that ends is listened to again. */
  async #listen(frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    const asked = paramsOf(frame)['notifications']
    const span = locate(frame.bytes, frame.at.params, 'notifications')
    if (typeof asked !== 'object' || asked === null || Array.isArray(asked) || !span) {
      out.write(errorFrame(idToken(frame), code.invalidParams, 'Invalid params: notifications must be an object'))
      return answered
    }
    const lists = listsIn(asked as Record<string, unknown>)
    const places = this.#placesOf((asked as Record<string, unknown>)['resourceSubscriptions'])
    const wanted: Wanted = { ...lists, resourceSubscriptions: [] }
    const begun = new Map<string, Promise<readonly string[]>>()
    const begin = (): void => {
      for (const upstream of this.#reach.names()) {
        if (begun.has(upstream)) continue
        const uris = places.get(upstream) ?? []
        const own = { ...lists, ...(uris.length > 0 ? { resourceSubscriptions: uris } : {}) }
        if (Object.keys(own).length === 0) continue
        const request = rescan(splice(frame, [{ span, with: Buffer.from(JSON.stringify(own)) }]).bytes)
        begun.set(
          upstream,
          this.#follow(upstream, request, headers, { ...out, write: (told) => !isWanted(told, wanted) || out.write(told) }, abort),
        )
      }
    }
    begin()
    const acks = [...places.keys()].map(async (upstream) => {
      const uris = await begun.get(upstream)
      wanted.resourceSubscriptions!.push(...(uris ?? []))
    })
    const wait = new AbortController()
    const late = this.#needs.clock.wait(this.#settings.listWaitMs, wait.signal).catch(() => {})
    await Promise.race([Promise.all(acks), late])
    wait.abort()
    const agreed = new Set(wanted.resourceSubscriptions)
    const uris = [...new Set([...places.values()].flat())].filter((uri) => agreed.has(uri))
    const id = idToken(frame)
    const honoured = { ...lists, ...(uris.length > 0 ? { resourceSubscriptions: uris } : {}) }
    const idMeta = `"_meta":{"${meta.subscriptionId}":${id}}`
    out.write(
      scan(
        Buffer.from(
          `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":${JSON.stringify(honoured)},${idMeta}}}`,
        ),
      ),
    )
    if (Object.keys(honoured).length > 0) await this.#untilGone(abort, lists, id, out, begin)
    if (abort.aborted) return cancelled
    out.write(scan(Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":{"resultType":"complete",${idMeta}}}`)))
    return answered
  }

  async #untilGone(abort: AbortSignal, lists: Wanted, id: string, out: Out, begin: () => void): Promise<void> {
    const { listeners } = this.#needs
    const listener: Listener = {
      changed: () => {
        begin()
        for (const member of ['tools', 'prompts', 'resources'] as const)
          if (lists[`${member}ListChanged`]) out.write(withMeta(listChanged({ member }), meta.subscriptionId, id))
      },
    }
    listeners.add(listener)
    if (!abort.aborted) await new Promise<void>((resolve) => abort.addEventListener('abort', () => resolve(), { once: true }))
    listeners.delete(listener)
  }

  /** Resolves with the URIs that the upstream agreed to, when it first answered. */
  #follow(upstream: string, request: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<readonly string[]> {
    const agreed = Promise.withResolvers<readonly string[]>()
    const { clock } = this.#needs
    const run = async (): Promise<void> => {
      for (let restMs = firstRestMs; !abort.aborted; restMs = Math.min(2 * restMs, mostRestMs)) {
        let honours: Record<string, unknown> | undefined
        const taking: Out = {
          room: () => out.room(),
          write: (frame) => {
            if (frame.kind !== 'notification') return true
            if (frame.method !== 'notifications/subscriptions/acknowledged') return out.write(frame)
            honours = (paramsOf(frame)['notifications'] ?? {}) as Record<string, unknown>
            restMs = firstRestMs
            agreed.resolve((honours['resourceSubscriptions'] ?? []) as string[])
            return true
          },
        }
        const outcome = await this.#reach.send(upstream, request, headers, taking, abort).catch(() => cancelled)
        agreed.resolve([])
        const hears = honours === undefined ? outcome.is !== 'answered' && outcome.is !== 'refused' : Object.keys(honours).length > 0
        if (!hears || !this.#reach.names().includes(upstream)) return
        await clock.wait(restMs, abort).catch(() => {})
      }
    }
    void run()
    return agreed.promise
  }

  #placesOf(uris: unknown): Map<string, string[]> {
    const places = new Map<string, string[]>()
    for (const uri of Array.isArray(uris) ? uris : []) {
      if (typeof uri !== 'string') continue
      for (const upstream of this.#dispatch.placesOf(uri)) places.set(upstream, [...(places.get(upstream) ?? []), uri])
    }
    return places
  }
}

function listsIn(asked: Readonly<Record<string, unknown>>): Wanted {
  const lists: Wanted = {}
  for (const kind of ['tools', 'prompts', 'resources'] as const)
    if (asked[`${kind}ListChanged`] === true) lists[`${kind}ListChanged`] = true
  return lists
}
