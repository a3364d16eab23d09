// Sessions of connectors: what a handshake opens and heartbeats keep alive. Each is kept with the gate's sessions, so that it outlives the gate's process.
import { randomBytes } from '../../kernel/random.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Bucket, Revision } from '../../base/kv/kv.ts'
import { fault } from '../faults.ts'

/** Beats come every 30 s; three that are missing make a connector late. */
export const beatEveryMs = 30_000
export const lateAfterMs = 3 * beatEveryMs

export type Beat = { readonly event: string; readonly cycleCount: number; readonly emittedMs: number; readonly atMs: number }

/** As it is kept. Times are wall time in milliseconds. */
export type ConnectorSession = {
  readonly id: string
  readonly connector: string
  readonly instance: string
  readonly version: string
  /** The credential that opened it: with another one it cannot be used. */
  readonly sha256: string
  readonly acceptedContexts: readonly string[]
  readonly issuedMs: number
  /** When the credential is stale, by the gate's record or the holder's word, whichever is sooner. */
  readonly expiryMs: number
  readonly beat?: Beat
  /** Since when no beat came in time. */
  readonly lateSinceMs?: number
}

/** Names a session and proves nothing: whoever uses it shows the credential, too. */
export function newSessionId(): string {
  return `op-${Buffer.from(randomBytes(8)).toString('hex')}`
}

type Live = { session: ConnectorSession; revision: Revision | undefined; seenMs: number }

export type SessionEvent = 'late' | 'back' | 'ended'

export type ConnectorSessionsNeeds = {
  readonly bucket: Bucket
  readonly clock: Clock
  readonly log: Log
  /** Told of what happens to a session without its holder asking for it. */
  changed(event: SessionEvent, session: ConnectorSession, why: string): void
}

/** Of one connector; with one more instance, the one not heard of for longest ends. */
const maxInstances = 64

export class ConnectorSessions {
  readonly #needs: ConnectorSessionsNeeds
  readonly #live = new Map<string, Live>()

  private constructor(needs: ConnectorSessionsNeeds) {
    this.#needs = needs
  }

  /** With the sessions of an earlier process: they have as long as new ones until the next beat, since nobody took beats while the gate was away. */
  static async open(needs: ConnectorSessionsNeeds): Promise<ConnectorSessions> {
    const sessions = new ConnectorSessions(needs)
    const seenMs = needs.clock.mono()
    for await (const { key, value, revision } of needs.bucket.list('op-')) {
      const session = sessionIn(value)
      if (session) sessions.#live.set(key, { session, revision, seenMs })
      else await needs.bucket.delete(key, revision)
    }
    return sessions
  }

  get all(): readonly ConnectorSession[] {
    return [...this.#live.values()].map(({ session }) => session)
  }

  of(connector: string): readonly ConnectorSession[] {
    return this.all.filter((session) => session.connector === connector)
  }

  /** Opens one; the same instance's earlier one ends. Faults: those of the bucket. */
  async open(opening: Omit<ConnectorSession, 'issuedMs'>): Promise<ConnectorSession> {
    const session = { ...opening, issuedMs: this.#needs.clock.now() }
    const live: Live = { session, revision: undefined, seenMs: this.#needs.clock.mono() }
    await this.#save(live)
    const others = [...this.#live.values()].filter((one) => one.session.connector === opening.connector)
    for (const { session: other } of others)
      if (other.instance === opening.instance) await this.end(other.id, 'its instance hand-shook again')
    const left = others.filter(({ session: { id } }) => this.#live.has(id)).toSorted((a, b) => a.seenMs - b.seenMs)
    for (const { session: oldest } of left.slice(0, Math.max(0, left.length - maxInstances + 1)))
      await this.end(oldest.id, 'too many instances')
    this.#live.set(session.id, live)
    return session
  }

  /** The session, when it is this credential's and neither over nor late. Faults `gate.no_connector_session`, `gate.connector_late`. */
  alive(id: string, sha256: string): ConnectorSession {
    const session = this.mine(id, sha256)
    if (session.lateSinceMs !== undefined) throw fault.connector_late({ id, afterMs: lateAfterMs })
    return session
  }

  /** The session, late or not. Fault `gate.no_connector_session`, which is the same for one that is not there and one of another credential. */
  mine(id: string, sha256: string): ConnectorSession {
    const session = this.#live.get(id)?.session
    if (!session || session.sha256 !== sha256 || this.#needs.clock.now() >= session.expiryMs) throw fault.no_connector_session({})
    return session
  }

  /** Takes a beat; `expiryMs` may bring its end nearer. A beat that cannot be kept is still a sign of life. */
  async beat(id: string, beat: Omit<Beat, 'atMs'>, expiryMs: number): Promise<ConnectorSession> {
    const live = this.#live.get(id)!
    const { lateSinceMs, ...session } = live.session
    live.session = { ...session, expiryMs: Math.min(expiryMs, session.expiryMs), beat: { ...beat, atMs: this.#needs.clock.now() } }
    live.seenMs = this.#needs.clock.mono()
    if (lateSinceMs !== undefined) this.#needs.changed('back', live.session, 'it beats again')
    await this.#saveLater(live)
    return live.session
  }

  /** Ends it; it is nobody's any more, even if that cannot be written now. */
  async end(id: string, why: string): Promise<void> {
    const live = this.#live.get(id)
    if (!live) return
    this.#live.delete(id)
    this.#needs.changed('ended', live.session, why)
    try {
      if (live.revision !== undefined) await this.#needs.bucket.delete(id, live.revision)
    } catch (error) {
      this.#needs.log.warn('gate.connector.session_kept', { session_id: id, error: asFault(error) })
    }
  }

  /** Looks for what is late and what is over. `isGood`: whether the credential behind a session still holds; `isFrozen`: nobody can beat now. */
  async sweep(isGood: (session: ConnectorSession) => boolean, isFrozen: boolean): Promise<void> {
    const { clock } = this.#needs
    for (const live of this.#live.values()) {
      const { session } = live
      if (isFrozen) live.seenMs = clock.mono()
      const isSilent = clock.mono() - live.seenMs >= lateAfterMs
      if (!isGood(session)) await this.end(session.id, 'its credential ended')
      else if (clock.now() >= session.expiryMs) await this.end(session.id, 'its credential is stale')
      else if (isSilent && session.beat?.event === 'stage-b-smoke') await this.end(session.id, 'its smoke run is over')
      else if (isSilent && session.lateSinceMs === undefined) {
        live.session = { ...session, lateSinceMs: clock.now() }
        this.#needs.changed('late', live.session, `no heartbeat for ${lateAfterMs / 1_000} s`)
        await this.#saveLater(live)
      }
    }
  }

  async #save(live: Live): Promise<void> {
    const { bucket } = this.#needs
    const value = Buffer.from(JSON.stringify(live.session))
    const { id } = live.session
    live.revision = await (live.revision === undefined ? bucket.create(id, value) : bucket.update(id, value, live.revision))
  }

  async #saveLater(live: Live): Promise<void> {
    try {
      await this.#save(live)
    } catch (error) {
      this.#needs.log.warn('gate.connector.session_not_kept', { session_id: live.session.id, error: asFault(error) })
    }
  }
}

function sessionIn(value: Uint8Array): ConnectorSession | undefined {
  try {
    const session = JSON.parse(Buffer.from(value).toString('utf8')) as ConnectorSession
    return typeof session.id === 'string' && typeof session.expiryMs === 'number' ? session : undefined
  } catch {
    return undefined
  }
}
