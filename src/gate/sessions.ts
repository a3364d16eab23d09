// The table of legacy sessions: bounded, kept in kv so that a restart of the gate is not noticed, asleep when idle, forgotten when old.
import type { Clock } from '../kernel/clock.ts'
import { type Fault, asFault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import { randomId } from '../kernel/random.ts'
import type { Principal } from '../base/access/principal.ts'
import type { Bucket, Entry } from '../base/kv/kv.ts'
import { type Exchange, type Handler, type Out, answered } from '../base/mcp/exchange.ts'
import { textOf } from '../base/mcp/message.ts'
import type { Opened } from '../base/mcp/scopes.ts'
import type { Sink } from '../base/wire/wire.ts'
import type { Idle } from './children.ts'
import { fault } from './faults.ts'
import { McpSession, type SessionRecord, maxRecordBytes, recordBytes, recordOf } from './session.ts'
import type { OpenedLeg, Served } from './upstream.ts'

export type SessionSettings = {
  /** Kept at once, awake and asleep. */
  readonly maxSessions: number
  readonly maxSessionsPerPrincipal: number
  /** A session that nobody used for so long is forgotten. */
  readonly ttlMs: number
}

/** What all sessions of an endpoint are made with: the upstream, and the layers before it. */
export type SessionKit = { readonly upstream: Served; readonly layer: (core: Handler) => Handler }

/** What one principal has: sessions that are awake or just being opened, and the ids of those asleep, the longest first. */
type Tally = { awake: number; readonly asleep: Set<string> }

const countEveryMs = 3_600_000
/** Of a client's `initialize` as its record holds it, quoted; the rest is for what the server offers and the client subscribes to. */
const maxInitializeBytes = 32_768
/** What still runs here in a session that was ended at another gate has so long to end. */
const endGraceMs = 5_000
/** So many servers are stopped at once when their sessions fall asleep. */
const sleepAtOnce = 32

/** `isUnsaved`: its record could not be written as it is now; the next sweep tries again. `isOld`: another gate has written it since. */
type Kept = { readonly session: McpSession; revision: number; savedAtMs: number; isUnsaved: boolean; isOld?: true }

/** A sink that knows whether anybody reads it now (a GET stream): a watched session does not sleep. It ends with its session. */
export type WatchedSink = Sink & { readonly isAttached?: boolean; readonly end?: () => void }

type Watched = Kept & { readonly side: WatchedSink }

export class Sessions {
  readonly #bucket: Bucket
  readonly #clock: Clock
  readonly #log: Log
  readonly #settings: SessionSettings
  /** What the writers of all our writes begin with. */
  readonly #writer = randomId().slice(0, 16)
  #isFollowing = false
  readonly #awake = new Map<string, Watched>()
  /** Parts of sessions with several servers: kept and counted as nothing of their own. */
  readonly #parts = new Set<McpSession>()
  /** Ended, but still in the bucket: nobody finds them, and the next sweep removes them. */
  readonly #ended = new Set<string>()
  readonly #restoring = new Map<string, Promise<McpSession | undefined>>()
  #tallies = new Map<string, Tally>()
  #countedAtMs = 0

  constructor(needs: { bucket: Bucket; clock: Clock; log: Log }, settings: SessionSettings) {
    this.#bucket = needs.bucket
    this.#clock = needs.clock
    this.#log = needs.log
    this.#settings = settings
  }

  /** Counts what earlier processes left. Called before anything else; fault `kv.unavailable`. */
  async count(): Promise<void> {
    const tallies = new Map<string, Tally>()
    for (const { session } of this.#awake.values()) tallyOf(tallies, session.principal.name).awake++
    for await (const { key, value } of this.#bucket.list())
      if (!this.#awake.has(key) && !this.#ended.has(key)) tallyOf(tallies, readRecord(value).principal).asleep.add(key)
    this.#tallies = tallies
    this.#countedAtMs = this.#clock.mono()
  }

  /** How many are kept, of all principals together. */
  get counts(): { readonly awake: number; readonly asleep: number } {
    let asleep = 0
    for (const tally of this.#tallies.values()) asleep += tally.asleep.size
    return { awake: this.#awake.size, asleep }
  }

  /** Opens a session with the client's `initialize`; only a result makes one. */
  async open(kit: SessionKit, exchange: Exchange, out: Out, side: WatchedSink): Promise<Opened> {
    const { upstream } = kit
    const { frame, principal } = exchange
    if (Buffer.byteLength(JSON.stringify(textOf(frame))) > maxInitializeBytes)
      throw fault.too_much_kept({ what: 'this initialize', maxBytes: maxInitializeBytes })
    const full = await this.#makeRoom(principal.name)
    if (full) return { session: undefined, outcome: { is: 'notSent', fault: full } }
    const tally = tallyOf(this.#tallies, principal.name)
    tally.awake++
    let session: McpSession | undefined
    try {
      const { leg, answer } = await upstream.openLegacy(principal, frame, side)
      if (answer.kind === 'result') {
        const record = recordOf(principal, upstream, frame, answer, leg)
        session = this.#make(kit, randomId(), principal, record, leg, side)
        if (recordBytes(record) > maxRecordBytes) throw fault.too_much_kept({ what: 'what the server offers', maxBytes: maxRecordBytes })
        await this.#write(session, this.#awake.get(session.id)!)
        this.#log.info('gate.session.opened', { session: session.id.slice(0, 6), principal: principal.name, upstream: upstream.name })
      } else await leg.close()
      out.write(answer)
      return { session, outcome: answered }
    } catch (error) {
      if (session) {
        this.#awake.delete(session.id)
        await session.sleep(false)
        session = undefined
      }
      throw error
    } finally {
      if (!session) tally.awake--
    }
  }

  /** Opens a session at one server that is a part of another session, for as long as that is awake. */
  async openPart({ upstream, layer }: SessionKit, { frame, principal }: Exchange, out: Out, side: Sink): Promise<Opened> {
    const { leg, answer } = await upstream.openLegacy(principal, frame, side)
    let session: McpSession | undefined
    if (answer.kind === 'result') {
      const forget = async (gone: McpSession): Promise<void> => void this.#parts.delete(gone)
      const needs = { upstream, side, layer, clock: this.#clock, save: async () => {}, forget }
      session = new McpSession(needs, randomId(), principal, recordOf(principal, upstream, frame, answer, leg), leg)
      this.#parts.add(session)
    } else await leg.close()
    out.write(answer)
    return { session, outcome: answered }
  }

  /** Moves the sessions of an upstream to the server that it is now. */
  async change(upstream: string, graceMs: number): Promise<void> {
    await Promise.all(this.#at(upstream).map((session) => session.change(graceMs)))
  }

  /** Ends the sessions of an upstream that is no more; those that sleep are found by nobody. */
  async end(upstream: string, reason: string, graceMs: number): Promise<void> {
    await Promise.all(this.#at(upstream).map((session) => session.end(reason, graceMs)))
  }

  /** Ends those of a principal that is no more. */
  async endOf(principal: string, reason: string, graceMs: number): Promise<void> {
    const theirs = [...this.#awake.values()].filter(({ session }) => session.principal.name === principal)
    await Promise.all(theirs.map(({ session }) => session.end(reason, graceMs)))
    const { asleep } = tallyOf(this.#tallies, principal)
    for (const id of asleep) {
      asleep.delete(id)
      await this.#remove(id)
    }
  }

  #at(upstream: string): readonly McpSession[] {
    return [...[...this.#awake.values()].map(({ session }) => session), ...this.#parts].filter(({ record }) => record.upstream === upstream)
  }

  /** A session of this process, or one that an earlier process left. Somebody else's is as good as none. */
  async find(kit: SessionKit, id: string, principal: Principal, side: () => WatchedSink): Promise<McpSession | undefined> {
    const session = this.#awake.get(id)?.session ?? (await this.#restore(kit, id, principal, side))
    if (session?.principal.name !== principal.name || session.record.upstream !== kit.upstream.name) return undefined
    session.usedAtMs = this.#clock.mono() // whoever found it may use it before the next sweep
    return session
  }

  /** Lets go of what another gate changes, so that it is read again when it is used; ends what another gate ended. */
  async follow(signal: AbortSignal): Promise<void> {
    this.#isFollowing = true
    let present: Set<string> | undefined
    for await (const change of this.#bucket.watch(signal)) {
      if (change.is === 'set') {
        present?.add(change.entry.key)
        await this.#changed(change.entry)
      } else if (change.is === 'deleted') await this.#ends([change.key])
      else if (change.is === 'reset') present = new Set()
      else {
        const seen = present
        present = undefined
        if (seen) await this.#ends([...this.#awake].flatMap(([id, { savedAtMs }]) => (savedAtMs > 0 && !seen.has(id) ? [id] : [])))
      }
    }
  }

  async #changed({ key, revision, writer }: Entry): Promise<void> {
    const kept = this.#awake.get(key)
    if (!kept || revision <= kept.revision || writer.startsWith(this.#writer)) return
    kept.isOld = true
    if (!kept.session.isBusy && !kept.side.isAttached) await this.#letGo(kept)
  }

  async #ends(ids: readonly string[]): Promise<void> {
    await Promise.all(ids.map(async (id) => this.#awake.get(id)?.session.end('it was ended at another gate', endGraceMs)))
  }

  /** Another gate has it as it is now: nothing is written. */
  async #letGo({ session }: Watched): Promise<void> {
    this.#awake.delete(session.id)
    const tally = tallyOf(this.#tallies, session.principal.name)
    tally.awake--
    tally.asleep.add(session.id)
    await session.sleep()
  }

  /** Puts idle sessions to sleep and lets go of those that sleep; their records live on until `ttlMs`. */
  async sweep(): Promise<void> {
    const now = this.#clock.mono()
    const idle: Watched[] = []
    for (const kept of this.#awake.values()) {
      const { session, side } = kept
      if (kept.isOld && !session.isBusy && !side.isAttached) await this.#letGo(kept)
      else if (session.isBusy || side.isAttached) {
        if (kept.isUnsaved || now - kept.savedAtMs > this.#settings.ttlMs / 3) await this.#save(session)
        if (side.isAttached && session.isAsleep) session.wake().catch(() => {}) // its server ended; a later sweep tries again
      } else if (now - session.usedAtMs >= session.idleMs) {
        idle.push(kept)
      }
    }
    for (let from = 0; from < idle.length; from += sleepAtOnce)
      await Promise.all(idle.slice(from, from + sleepAtOnce).map((kept) => this.#putToSleep(kept)))
    for (const part of this.#parts) if (!part.isBusy && now - part.usedAtMs >= part.idleMs) await part.sleep()
    for (const id of this.#ended) await this.#remove(id)
    if (now - this.#countedAtMs >= countEveryMs) await this.count()
  }

  /** Sessions that have a process to themselves and do not need it now. */
  idle(): readonly Idle[] {
    const kept = [...this.#awake.values()].filter(({ side }) => !side.isAttached).map(({ session }) => session)
    return [...kept, ...this.#parts]
      .filter((session) => session.holdsChild && !session.isBusy)
      .map((session) => ({ principal: session.principal.name, usedAtMs: session.usedAtMs, stop: () => session.sleep() }))
  }

  /** Stops its server; lets go of it when its record is kept as it is now. */
  async #putToSleep(kept: Watched): Promise<void> {
    const { session, side } = kept
    const { id, principal } = session
    await this.#save(session)
    const isUsed = session.isBusy || side.isAttached || this.#clock.mono() - session.usedAtMs < session.idleMs
    if (isUsed || this.#awake.get(id) !== kept) return
    if (!kept.isUnsaved) {
      this.#awake.delete(id)
      const tally = tallyOf(this.#tallies, principal.name)
      tally.awake--
      tally.asleep.add(id)
    }
    await session.sleep()
  }

  /** Stops every server's process; the sessions themselves stay. */
  async close(): Promise<void> {
    const all = [...this.#awake.values()]
    this.#awake.clear()
    await Promise.all([...all.map(({ session }) => session), ...this.#parts].map((session) => session.sleep()))
  }

  /** Forgets what this principal has left alone for longest where a bound is reached; a fault when nothing of it sleeps. */
  async #makeRoom(principal: string): Promise<Fault | undefined> {
    const { maxSessions, maxSessionsPerPrincipal } = this.#settings
    const { awake, asleep } = tallyOf(this.#tallies, principal)
    const isPrincipalFull = awake + asleep.size >= maxSessionsPerPrincipal
    let all = 0
    for (const tally of this.#tallies.values()) all += tally.awake + tally.asleep.size
    if (!isPrincipalFull && all < maxSessions) return undefined
    const [oldest] = asleep
    if (oldest === undefined)
      return isPrincipalFull
        ? fault.too_many_sessions({ max: maxSessionsPerPrincipal, whose: `${principal} has`, setting: 'max_sessions_per_principal' })
        : fault.too_many_sessions({ max: maxSessions, whose: 'there are', setting: 'max_sessions' })
    asleep.delete(oldest)
    await this.#remove(oldest)
    this.#log.info('gate.session.ended', { session: oldest.slice(0, 6), principal, reason: 'it slept the longest when room was needed' })
    return undefined
  }

  #make(
    { upstream, layer }: SessionKit,
    id: string,
    principal: Principal,
    record: SessionRecord,
    leg: OpenedLeg | undefined,
    side: WatchedSink,
  ): McpSession {
    const session = new McpSession(
      {
        upstream,
        side,
        layer,
        clock: this.#clock,
        save: (changed) => this.#save(changed),
        forget: (gone, reason) => this.#forget(gone, reason),
      },
      id,
      principal,
      record,
      leg,
    )
    this.#awake.set(id, { session, revision: 0, savedAtMs: 0, isUnsaved: false, side })
    return session
  }

  #restore(kit: SessionKit, id: string, principal: Principal, side: () => WatchedSink): Promise<McpSession | undefined> {
    const { upstream } = kit
    if (!/^[\x21-\x7e]{1,128}$/.test(id) || this.#ended.has(id)) return Promise.resolve(undefined)
    const key = `${principal.name} ${upstream.name} ${id}`
    const running = this.#restoring.get(key)
    if (running) return running
    const restoring = (async () => {
      const entry = await this.#bucket.get(id)
      if (!entry) return undefined
      const record = readRecord(entry.value)
      if (record.principal !== principal.name || record.upstream !== upstream.name) return undefined
      const session = this.#make(kit, id, principal, record, undefined, side())
      const kept = this.#awake.get(id)!
      kept.revision = entry.revision
      kept.savedAtMs = this.#clock.mono()
      const tally = tallyOf(this.#tallies, principal.name)
      tally.asleep.delete(id)
      tally.awake++
      this.#log.info('gate.session.restored', { session: id.slice(0, 6), principal: principal.name, upstream: upstream.name })
      return session
    })().finally(() => this.#restoring.delete(key))
    this.#restoring.set(key, restoring)
    return restoring
  }

  /** Never rejects: the session goes on without being kept as it is now, and a sweep tries again. */
  async #save(session: McpSession): Promise<void> {
    const kept = this.#awake.get(session.id)
    if (!kept) return
    try {
      await this.#write(session, kept)
    } catch (error) {
      if (!kept.isUnsaved) this.#log.warn('gate.session.unsaved', { session: session.id.slice(0, 6), error: asFault(error) })
      kept.isUnsaved = true
    }
  }

  async #write(session: McpSession, kept: Kept): Promise<void> {
    const value = Buffer.from(JSON.stringify(session.record))
    const options = { ttlMs: this.#settings.ttlMs, writer: `${this.#writer}-${randomId()}` }
    const known = kept.savedAtMs > 0
    const present = kept.revision > 0 ? kept.revision : (await this.#bucket.get(session.id))?.revision
    if (present === undefined && known && this.#isFollowing) return this.#ends([session.id]) // it was written, and is gone
    const written =
      present === undefined
        ? await this.#bucket.create(session.id, value, options)
        : await this.#bucket.update(session.id, value, present, options)
    kept.revision = written ?? 0
    kept.isUnsaved = written === undefined
    kept.savedAtMs = this.#clock.mono()
  }

  /** Never rejects: what cannot be removed now is found by nobody, and a sweep tries again. */
  async #remove(id: string): Promise<void> {
    try {
      const entry = await this.#bucket.get(id)
      if (entry) await this.#bucket.delete(id, entry.revision)
      this.#ended.delete(id)
    } catch (error) {
      if (!this.#ended.has(id)) this.#log.warn('gate.session.unremoved', { session: id.slice(0, 6), error: asFault(error) })
      this.#ended.add(id)
    }
  }

  async #forget(session: McpSession, reason: string): Promise<void> {
    const tally = tallyOf(this.#tallies, session.principal.name)
    this.#awake.get(session.id)?.side.end?.()
    if (this.#awake.delete(session.id)) tally.awake--
    else tally.asleep.delete(session.id)
    await this.#remove(session.id)
    this.#log.info('gate.session.ended', {
      session: session.id.slice(0, 6),
      principal: session.principal.name,
      upstream: session.record.upstream,
      reason,
    })
  }
}

function tallyOf(tallies: Map<string, Tally>, principal: string): Tally {
  let tally = tallies.get(principal)
  if (!tally) tallies.set(principal, (tally = { awake: 0, asleep: new Set() }))
  return tally
}

function readRecord(value: Uint8Array): SessionRecord {
  return JSON.parse(Buffer.from(value).toString('utf8')) as SessionRecord
}
