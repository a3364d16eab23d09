// Calls that wait for a person, and what that person said: in memory, or in the cluster where several gates are one. Nothing of it is kept on disk.
import { hash } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import { randomId } from '../../kernel/random.ts'
import type { Bucket, Change, Entry } from '../../base/kv/kv.ts'
import type { WaitingCall } from '../api.ts'
import { fault } from '../faults.ts'
import { type AskedCall, type AskedRecord, type By, type Decided, type Yes, callKey, recordIn, shownArguments } from './asked.ts'

/** A call that waits; `decided` resolves once, at the latest when its time is over. */
export interface Waiting {
  readonly id: string
  /** What its client answers with, or comes back with: nobody else knows it. */
  readonly token: string
  readonly decided: Promise<Decided>
  settle(decision: Decided): Promise<void>
}

/** How the client may answer or give up. `isSentBack`: nobody waits here, it comes back with the token, to any gate. */
export type Ways = { readonly called: string; readonly isSentBack: boolean }

type Own = Waiting & { readonly principal: string; kept(): void; conclude(decided: Decided): void }
/** `sinceMs`: monotonic, when it was first seen here. */
type Seen = { readonly record: AskedRecord; readonly sinceMs: number }
/** `id`: of the call that it was given for; `untilMs`: monotonic milliseconds. */
type Standing = { readonly id: string; readonly untilMs: number }

export type ApprovalSettings = { readonly timeoutMs: number }

export type ApprovalsNeeds = {
  readonly bucket: Bucket
  readonly clock: Clock
  /** This gate among those that use the bucket; absent: it is the only one. */
  readonly gates?: { readonly id: string; isThere(gate: string): boolean } | undefined
}

const maxWaiting = 256
const maxWaitingPerPrincipal = 32
const maxStanding = 1_000
const maxTries = 8
/** A yes for a session holds no longer, however long the session is. */
const sessionYesMs = 24 * 3_600_000
const idLength = 8
const tokenPattern = /^[\w-]{8}-[\w-]{24}$/
const [asked, standing, continued] = ['asked/', 'standing/', 'continued/'] as const
const timeIsOver: Decided = { is: 'denied', reason: 'its time is over' }

export class Approvals {
  readonly #bucket: Bucket
  readonly #clock: Clock
  readonly #gates: ApprovalsNeeds['gates']
  readonly #timeoutMs: number
  readonly #own = new Map<string, Own>()
  /** All that wait, at any gate. */
  readonly #seen = new Map<string, Seen>()
  /** What a yes holds for besides the call that it was given for. */
  readonly #standing = new Map<string, Standing>()
  #isClosed = false

  constructor({ bucket, clock, gates }: ApprovalsNeeds, { timeoutMs }: ApprovalSettings) {
    this.#bucket = bucket
    this.#clock = clock
    this.#gates = gates
    this.#timeoutMs = timeoutMs
  }

  /** Learns what is asked and said, here and at other gates: without it nothing is decided. */
  async follow(signal: AbortSignal): Promise<void> {
    for await (const change of this.#bucket.watch(signal)) this.#take(change)
  }

  #take(change: Change): void {
    if (change.is === 'reset') {
      this.#seen.clear()
      this.#standing.clear()
    }
    if (change.is !== 'set' && change.is !== 'deleted') return
    const key = change.is === 'set' ? change.entry.key : change.key
    const name = key.slice(key.indexOf('/') + 1)
    if (key.startsWith(standing)) {
      if (change.is === 'set') this.#stand(name, change.entry)
      else this.#standing.delete(name)
    } else if (key.startsWith(asked)) {
      if (change.is === 'deleted') return void this.#seen.delete(name)
      const record = recordIn(change.entry)
      this.#seen.set(name, { record, sinceMs: this.#seen.get(name)?.sinceMs ?? this.#clock.mono() })
      if (record.decision && !record.isSentBack) this.#own.get(name)?.conclude(record.decision)
    }
  }

  /** Until the end that the yes was given for, however late it is heard of: a watch tells of what is over, too. */
  #stand(name: string, { value }: Pick<Entry, 'value'>): void {
    const { id, until } = JSON.parse(Buffer.from(value).toString('utf8')) as { readonly id: string; readonly until: number }
    this.#standing.set(name, { id, untilMs: this.#clock.mono() + until - this.#clock.now() })
  }

  /** The id of the earlier call whose yes holds for this one, too; undefined when none does. Fault `kv.unavailable`. */
  async holds(key: string, session: string | undefined): Promise<string | undefined> {
    const now = this.#clock.mono()
    const all = [this.#standing.get(key), session === undefined ? undefined : this.#standing.get(standingKey(key, session))]
    const found = all.find((one) => one !== undefined && one.untilMs > now)
    if (found) return found.id
    const entry = await this.#bucket.get(`${continued}${key}`)
    return entry && (await this.#bucket.delete(entry.key, entry.revision)) ? Buffer.from(entry.value).toString('utf8') : undefined
  }

  /** The server needs more of the client before it ends the approved call `id`: the client comes back with the same call once. */
  mayContinue(key: string, id: string): void {
    void this.#put(`${continued}${key}`, id, this.#timeoutMs).catch(() => {}) // then it is asked again
  }

  /** Puts a call before a person; undefined when too many wait, or the gate is stopping. Faults: those of the bucket. */
  async ask(call: AskedCall, { called, isSentBack }: Ways): Promise<Waiting | undefined> {
    const { principal, upstream, tool, session } = call
    const waiting = new Map([...this.#waiting()].map(([id, { record }]) => [id, record.principal]))
    for (const { id, principal: whose } of this.#own.values()) waiting.set(id, whose)
    const theirs = [...waiting.values()].filter((whose) => whose === principal).length
    if (this.#isClosed || waiting.size >= maxWaiting || theirs >= maxWaitingPerPrincipal) return undefined
    const own = this.#makeOwn(principal, isSentBack)
    const record: AskedRecord = {
      principal,
      upstream,
      tool,
      ...(session === undefined ? {} : { session }),
      gate: this.#gates?.id ?? '',
      key: callKey(call),
      shown: shownArguments(call.arguments),
      askedAt: new Date(this.#clock.now()).toISOString(),
      timeoutMs: this.#timeoutMs,
      isSentBack,
      called,
      token: tokenHash(principal, session, own.token),
    }
    this.#seen.set(own.id, { record, sinceMs: this.#clock.mono() })
    try {
      await this.#bucket.create(`${asked}${own.id}`, Buffer.from(JSON.stringify(record)), { ttlMs: 2 * this.#timeoutMs })
    } catch (error) {
      own.conclude(timeIsOver)
      throw error
    }
    own.kept()
    return own
  }

  #makeOwn(principal: string, isSentBack: boolean): Own {
    const id = randomId(6)
    const { promise: decided, resolve } = Promise.withResolvers<Decided>()
    const kept = Promise.withResolvers<void>()
    const late = (): void => {
      if (isSentBack) own.conclude(timeIsOver)
      else void own.settle({ is: 'denied', reason: `nobody said yes within ${Math.round(this.#timeoutMs / 1_000)} s` })
    }
    const cancel = this.#clock.after(this.#timeoutMs, late)
    const own: Own = {
      id,
      token: `${id}-${randomId(18)}`,
      principal,
      decided,
      kept: kept.resolve,
      settle: async (decision) => {
        await kept.promise
        if (this.#own.has(id)) own.conclude(await this.#decidedSafely(id, decision))
      },
      conclude: (made) => {
        if (!this.#own.delete(id)) return
        this.#seen.delete(id)
        cancel()
        resolve(made)
        void this.#remove(id)
      },
    }
    this.#own.set(id, own)
    return own
  }

  /** A legacy client's answer. False when it is to none of our questions. `isYes` undefined: it could not ask, and somebody on the machine still may. */
  async answered(
    exchange: { principal: string; session: string | undefined },
    token: string,
    isYes: Decided | undefined,
  ): Promise<boolean> {
    const id = token.slice(0, idLength)
    const record = this.#seen.get(id)?.record ?? (await this.#find(id))
    if (!record || record.isSentBack || record.token !== tokenHash(exchange.principal, exchange.session, token)) return false
    if (isYes) await (this.#own.get(id)?.settle(isYes) ?? this.#decidedSafely(id, isYes))
    return true
  }

  /** Whether it may be an answer to a question of ours. */
  isToken(text: string): boolean {
    return tokenPattern.test(text) && (this.#gates !== undefined || this.#own.has(text.slice(0, idLength)))
  }

  /** A client comes back with a call that was sent back. Only once, at one gate: undefined when it is another call, somebody else's, or its time is over. */
  async resume(call: AskedCall, token: string, said: Decided): Promise<{ readonly id: string; readonly decided: Decided } | undefined> {
    if (!tokenPattern.test(token)) return undefined
    const id = token.slice(0, idLength)
    for (let tries = 0; tries < maxTries; tries++) {
      const entry = await this.#bucket.get(`${asked}${id}`)
      const record = entry && recordIn(entry)
      if (!record?.isSentBack || record.key !== callKey(call) || record.token !== tokenHash(call.principal, call.session, token))
        return undefined
      if (await this.#bucket.delete(entry!.key, entry!.revision)) {
        const decided = record.decision ?? said
        this.#own.get(id)?.conclude(decided)
        return { id, decided }
      }
    }
    return undefined
  }

  /** Its client gave up a call that waits, at whichever gate. False when it is none. */
  withdraw(called: string): boolean {
    const [id] = [...this.#seen].find(([, { record }]) => record.called === called) ?? []
    if (id === undefined) return false
    void (this.#own.get(id)?.settle({ is: 'withdrawn' }) ?? this.#decidedSafely(id, { is: 'withdrawn' }))
    return true
  }

  list(): WaitingCall[] {
    return [...this.#waiting()].map(([id, seen]) => this.#shown(id, seen))
  }

  *#waiting(): Generator<[string, Seen]> {
    const now = this.#clock.mono()
    for (const [id, seen] of this.#seen) {
      const { decision, isSentBack, gate, timeoutMs } = seen.record
      const isThere = isSentBack || this.#gates === undefined || this.#gates.isThere(gate)
      if (!decision && isThere && now - seen.sinceMs < timeoutMs) yield [id, seen]
    }
  }

  /** Says yes or no, whichever gate the call waits at. Faults: `gate.no_waiting_call`, `gate.no_session`, `gate.too_many_approvals`, `kv.unavailable`. */
  async decide(id: string, said: Yes | 'deny'): Promise<WaitingCall> {
    const record = await this.#find(id)
    if (!record || record.decision) throw fault.no_waiting_call({ id })
    const { session } = record
    if (said === 'session' && session === undefined) throw fault.no_session({ id })
    const shown = this.#shown(id, this.#seen.get(id) ?? { record, sinceMs: this.#clock.mono() })
    const name = said === 'session' ? standingKey(record.key, session!) : record.key
    if (said !== 'once' && said !== 'deny') {
      if (!this.#hasRoom()) throw fault.too_many_approvals({ max: maxStanding })
      const ttlMs = said === 'session' ? sessionYesMs : said.forMs
      const value = JSON.stringify({ id, until: this.#clock.now() + ttlMs })
      await this.#put(`${standing}${name}`, value, ttlMs)
      this.#stand(name, { value: Buffer.from(value) })
    }
    const by: By = 'machine'
    const decision: Decided = said === 'deny' ? { is: 'denied', reason: 'it was denied' } : { is: 'granted', by, how: said }
    try {
      const decided = await this.#decided(id, decision)
      if (JSON.stringify(decided) !== JSON.stringify(decision)) throw fault.no_waiting_call({ id })
    } catch (error) {
      if (this.#standing.get(name)?.id === id) await this.#retract(name) // who is told that nothing was decided said yes to nothing
      throw error
    }
    if (!record.isSentBack) this.#own.get(id)?.conclude(decision)
    return shown
  }

  /** Denies all that wait here, and whatever comes. */
  close(): void {
    this.#isClosed = true
    for (const own of this.#own.values()) void own.settle({ is: 'denied', reason: 'the gate is stopping' })
  }

  async #retract(name: string): Promise<void> {
    this.#standing.delete(name)
    const entry = await this.#bucket.get(`${standing}${name}`).catch(() => undefined)
    if (entry) await this.#bucket.delete(entry.key, entry.revision).catch(() => {})
  }

  #hasRoom(): boolean {
    const now = this.#clock.mono()
    if (this.#standing.size >= maxStanding)
      for (const [other, { untilMs }] of this.#standing) if (untilMs <= now) this.#standing.delete(other)
    return this.#standing.size < maxStanding
  }

  async #find(id: string): Promise<AskedRecord | undefined> {
    const entry = /^[\w-]{8}$/.test(id) ? await this.#bucket.get(`${asked}${id}`) : undefined
    return entry && recordIn(entry)
  }

  /** What it was decided to be, this or what somebody else said before. Fault `kv.unavailable`. */
  async #decided(id: string, decision: Decided): Promise<Decided> {
    for (let tries = 0; tries < maxTries; tries++) {
      const entry = await this.#bucket.get(`${asked}${id}`)
      if (!entry) return timeIsOver
      const record = recordIn(entry)
      if (record.decision) return record.decision
      const value = Buffer.from(JSON.stringify({ ...record, decision }))
      if ((await this.#bucket.update(entry.key, value, entry.revision, { ttlMs: 2 * this.#timeoutMs })) !== undefined) return decision
    }
    return timeIsOver
  }

  /** A yes that cannot be written down is none; a no needs nothing. */
  async #decidedSafely(id: string, decision: Decided): Promise<Decided> {
    try {
      return await this.#decided(id, decision)
    } catch (error) {
      return decision.is === 'granted'
        ? { is: 'denied', reason: `the yes could not be written down (${asFault(error).message})` }
        : decision
    }
  }

  async #put(key: string, text: string, ttlMs: number): Promise<void> {
    const options = { ttlMs }
    for (let tries = 0; tries < maxTries; tries++) {
      const entry = await this.#bucket.get(key)
      const value = Buffer.from(text)
      const written = entry
        ? await this.#bucket.update(key, value, entry.revision, options)
        : await this.#bucket.create(key, value, options)
      if (written !== undefined) return
    }
  }

  /** What stays expires. */
  async #remove(id: string): Promise<void> {
    try {
      const entry = await this.#bucket.get(`${asked}${id}`)
      if (entry) await this.#bucket.delete(entry.key, entry.revision)
    } catch {
      // it expires
    }
  }

  #shown(id: string, { record, sinceMs }: Seen): WaitingCall {
    const { principal, upstream, tool, session, shown, askedAt, timeoutMs } = record
    const expiresInMs = Math.max(0, Math.round(sinceMs + timeoutMs - this.#clock.mono()))
    return { id, principal, upstream, tool, arguments: shown, askedAt, expiresInMs, hasSession: session !== undefined }
  }
}

function standingKey(key: string, session: string): string {
  return hash('sha256', `${key} ${session}`, 'base64url')
}

/** Good for one client alone, and of no use to who reads it. */
function tokenHash(principal: string, session: string | undefined, token: string): string {
  return hash('sha256', JSON.stringify([principal, session, token]), 'base64url')
}
