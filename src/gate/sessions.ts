// The table of legacy sessions: bounded, kept in kv so that a restart of the gate is not noticed, asleep when idle, forgotten when old.
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { randomId } from '../kernel/random.ts'
import type { Principal } from '../base/access/principal.ts'
import type { Bucket } from '../base/kv/kv.ts'
import type { Exchange, Handler, Out } from '../base/mcp/exchange.ts'
import type { Opened } from '../base/mcp/scopes.ts'
import type { Sink } from '../base/wire/wire.ts'
import { fault } from './faults.ts'
import { McpSession, type SessionRecord, recordOf } from './session.ts'
import type { Upstream } from './upstream.ts'

export type SessionSettings = { readonly maxSessions: number; readonly ttlMs: number }

type Kept = { readonly session: McpSession; revision: number; savedAtMs: number }

/** A sink that knows whether anybody reads it now (a GET stream, a wire): a watched session does not sleep. */
export type WatchedSink = Sink & { readonly isAttached?: boolean }

export class Sessions {
  readonly #bucket: Bucket
  readonly #clock: Clock
  readonly #log: Log
  readonly #settings: SessionSettings
  readonly #awake = new Map<string, Kept & { readonly side: WatchedSink }>()
  readonly #restoring = new Map<string, Promise<McpSession | undefined>>()

  constructor(needs: { bucket: Bucket; clock: Clock; log: Log }, settings: SessionSettings) {
    this.#bucket = needs.bucket
    this.#clock = needs.clock
    this.#log = needs.log
    this.#settings = settings
  }

  get count(): number {
    return this.#awake.size
  }

  /** Opens a session with the client's `initialize`; only a result makes one. */
  async open(upstream: Upstream, layer: (core: Handler) => Handler, exchange: Exchange, out: Out, side: WatchedSink): Promise<Opened> {
    const { maxSessions } = this.#settings
    if (this.#awake.size >= maxSessions)
      return { session: undefined, outcome: { is: 'notSent', fault: fault.too_many_sessions({ max: maxSessions }) } }
    const { frame, principal } = exchange
    const { leg, answer } = await upstream.openLegacy(principal, frame, side)
    if (answer.kind !== 'result') {
      out.write(answer)
      await leg.close()
      return { session: undefined, outcome: { is: 'answered' } }
    }
    const session = this.#make(upstream, layer, randomId(), principal, recordOf(principal, upstream, frame, answer, leg), leg, side)
    await this.#save(session)
    this.#log.info('gate.session.opened', { session: session.id.slice(0, 6), principal: principal.name, upstream: upstream.name })
    out.write(answer)
    return { session, outcome: { is: 'answered' } }
  }

  /** A session of this process, or one that an earlier process left. Somebody else's is as good as none. */
  async find(
    upstream: Upstream,
    layer: (core: Handler) => Handler,
    id: string,
    principal: Principal,
    side: () => WatchedSink,
  ): Promise<McpSession | undefined> {
    const session = this.#awake.get(id)?.session ?? (await this.#restore(upstream, layer, id, principal, side))
    return session && session.principal.name === principal.name && session.record.upstream === upstream.name ? session : undefined
  }

  /** Puts idle sessions to sleep and lets go of those that sleep; their records live on until `ttlMs`. */
  async sweep(): Promise<void> {
    const now = this.#clock.mono()
    for (const [id, kept] of this.#awake) {
      const { session, side } = kept
      if (session.isBusy || side.isAttached) {
        if (now - kept.savedAtMs > this.#settings.ttlMs / 3) await this.#save(session)
        continue
      }
      if (now - session.usedAtMs < session.idleMs) continue
      this.#awake.delete(id)
      await this.#write(session)
      await session.sleep()
    }
  }

  /** Stops every server's process; the sessions themselves stay. */
  async close(): Promise<void> {
    const all = [...this.#awake.values()]
    this.#awake.clear()
    await Promise.all(all.map(({ session }) => session.sleep()))
  }

  #make(
    upstream: Upstream,
    layer: (core: Handler) => Handler,
    id: string,
    principal: Principal,
    record: SessionRecord,
    leg: Parameters<typeof recordOf>[4] | undefined,
    side: WatchedSink,
  ): McpSession {
    const session = new McpSession(
      {
        upstream,
        side,
        layer,
        now: () => this.#clock.mono(),
        save: (changed) => this.#save(changed),
        forget: (gone, reason) => this.#forget(gone, reason),
      },
      id,
      principal,
      record,
      leg,
    )
    this.#awake.set(id, { session, revision: 0, savedAtMs: 0, side })
    return session
  }

  #restore(
    upstream: Upstream,
    layer: (core: Handler) => Handler,
    id: string,
    principal: Principal,
    side: () => WatchedSink,
  ): Promise<McpSession | undefined> {
    if (!/^[\x21-\x7e]{1,128}$/.test(id)) return Promise.resolve(undefined)
    const running = this.#restoring.get(id)
    if (running) return running
    const restoring = (async () => {
      const entry = await this.#bucket.get(id)
      if (!entry) return undefined
      const record = JSON.parse(Buffer.from(entry.value).toString('utf8')) as SessionRecord
      if (record.principal !== principal.name || record.upstream !== upstream.name) return undefined
      const session = this.#make(upstream, layer, id, principal, record, undefined, side())
      const kept = this.#awake.get(id)!
      kept.revision = entry.revision
      kept.savedAtMs = this.#clock.mono()
      this.#log.info('gate.session.restored', { session: id.slice(0, 6), principal: principal.name, upstream: upstream.name })
      return session
    })().finally(() => this.#restoring.delete(id))
    this.#restoring.set(id, restoring)
    return restoring
  }

  async #save(session: McpSession): Promise<void> {
    const kept = this.#awake.get(session.id)
    if (!kept) return
    await this.#write(session, kept)
    kept.savedAtMs = this.#clock.mono()
  }

  async #write(session: McpSession, kept?: Kept): Promise<void> {
    const value = Buffer.from(JSON.stringify(session.record))
    const options = { ttlMs: this.#settings.ttlMs }
    const present = kept && kept.revision > 0 ? kept.revision : (await this.#bucket.get(session.id))?.revision
    const written =
      present === undefined
        ? await this.#bucket.create(session.id, value, options)
        : await this.#bucket.update(session.id, value, present, options)
    if (kept && written !== undefined) kept.revision = written
  }

  async #forget(session: McpSession, reason: string): Promise<void> {
    this.#awake.delete(session.id)
    const entry = await this.#bucket.get(session.id)
    if (entry) await this.#bucket.delete(session.id, entry.revision)
    this.#log.info('gate.session.ended', {
      session: session.id.slice(0, 6),
      principal: session.principal.name,
      upstream: session.record.upstream,
      reason,
    })
  }
}
