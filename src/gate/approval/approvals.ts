// Calls that wait for a person, and what that person said. Nothing of it is kept on disk: a gate that restarts has no approvals.
import { hash } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { randomId } from '../../kernel/random.ts'
import type { WaitingCall } from '../api.ts'
import { fault } from '../faults.ts'

/** Who wants to call what, and with which bytes: the yes is for exactly that. */
export type AskedCall = {
  readonly principal: string
  readonly upstream: string
  readonly tool: string
  readonly arguments: Uint8Array
  readonly session: string | undefined
}

export type Yes = 'once' | 'session' | { readonly forMs: number }
export type By = 'client' | 'machine'
export type Decided =
  | { readonly is: 'granted'; readonly by: By; readonly how: Yes }
  | { readonly is: 'denied'; readonly reason: string }
  | { readonly is: 'withdrawn' }

/** A call that waits; `decided` resolves once, at the latest when its time is over. */
export interface Waiting {
  readonly id: string
  readonly key: string
  readonly decided: Promise<Decided>
  /** What it was decided to be, if it was. */
  readonly decision: Decided | undefined
  settle(decision: Decided): void
}

/** Without the bytes of the call, which may be many: those wait with its client alone. */
type Kept = Waiting & {
  readonly call: Omit<AskedCall, 'arguments'>
  readonly shown: string
  readonly expiresAtMs: number
  readonly askedAt: string
}

/** `id`: of the call that it was given for; `untilMs`: monotonic milliseconds. */
type Standing = { readonly id: string; readonly untilMs: number }

export type ApprovalSettings = { readonly timeoutMs: number }

const maxWaiting = 256
const maxWaitingPerPrincipal = 32
const maxStanding = 1_000
const maxShownBytes = 4_096

/** Equal for two calls exactly when the same principal calls the same tool of the same upstream with the same bytes. */
export function callKey({ principal, upstream, tool, arguments: bytes }: AskedCall): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${JSON.stringify([principal, upstream, tool])}\n`), bytes]), 'base64url')
}

export class Approvals {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #waiting = new Map<string, Kept>()
  /** What a yes holds for besides the call that it was given for. */
  readonly #standing = new Map<string, Standing>()
  /** One call each: what goes on with one that was approved. */
  readonly #continued = new Map<string, Standing>()
  #isClosed = false

  constructor(clock: Clock, { timeoutMs }: ApprovalSettings) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** The id of the earlier call whose yes holds for this one, too; undefined when none does. */
  holds(key: string, session: string | undefined): string | undefined {
    const now = this.#clock.mono()
    const continued = this.#continued.get(key)
    this.#continued.delete(key)
    const all = [continued, this.#standing.get(key), session === undefined ? undefined : this.#standing.get(`${key} ${session}`)]
    return all.find((one) => one !== undefined && one.untilMs > now)?.id
  }

  /** The server needs more of the client before it ends the approved call `id`: the client comes back with the same call once. */
  mayContinue(key: string, id: string): void {
    this.#keep(this.#continued, key, { id, untilMs: this.#clock.mono() + this.#timeoutMs })
  }

  /** Puts a call before a person; undefined when too many wait, or the gate is stopping. */
  ask(call: AskedCall): Waiting | undefined {
    const own = [...this.#waiting.values()].filter((one) => one.call.principal === call.principal).length
    if (this.#isClosed || this.#waiting.size >= maxWaiting || own >= maxWaitingPerPrincipal) return undefined
    const { promise: decided, resolve } = Promise.withResolvers<Decided>()
    const id = randomId(6)
    const late = (): void => kept.settle({ is: 'denied', reason: `nobody said yes within ${Math.round(this.#timeoutMs / 1_000)} s` })
    const cancel = this.#clock.after(this.#timeoutMs, late)
    const isListed = (): boolean => this.#waiting.get(id) === kept
    let decision: Decided | undefined
    const kept: Kept = {
      id,
      key: callKey(call),
      call: { principal: call.principal, upstream: call.upstream, tool: call.tool, session: call.session },
      shown: shownArguments(call.arguments),
      askedAt: new Date(this.#clock.now()).toISOString(),
      expiresAtMs: this.#clock.mono() + this.#timeoutMs,
      decided,
      get decision() {
        return decision
      },
      settle: (made) => {
        if (!isListed()) return
        this.#waiting.delete(id)
        cancel()
        resolve((decision = made))
      },
    }
    this.#waiting.set(id, kept)
    return kept
  }

  list(): WaitingCall[] {
    return [...this.#waiting.values()].map((one) => this.#shown(one))
  }

  /** Says yes or no. Faults: `gate.no_waiting_call`, `gate.no_session`, `gate.too_many_approvals`. */
  decide(id: string, said: Yes | 'deny'): WaitingCall {
    const kept = this.#waiting.get(id)
    if (!kept) throw fault.no_waiting_call({ id })
    const { session } = kept.call
    if (said === 'session' && session === undefined) throw fault.no_session({ id })
    const key = said === 'session' ? `${kept.key} ${session}` : kept.key
    const untilMs = typeof said === 'object' ? this.#clock.mono() + said.forMs : Infinity
    if (said !== 'once' && said !== 'deny' && !this.#keep(this.#standing, key, { id, untilMs }))
      throw fault.too_many_approvals({ max: maxStanding })
    kept.settle(said === 'deny' ? { is: 'denied', reason: 'it was denied' } : { is: 'granted', by: 'machine', how: said })
    return this.#shown(kept)
  }

  /** Denies all that wait, and whatever comes. */
  close(): void {
    this.#isClosed = true
    for (const kept of this.#waiting.values()) kept.settle({ is: 'denied', reason: 'the gate is stopping' })
  }

  #keep(into: Map<string, Standing>, key: string, standing: Standing): boolean {
    const now = this.#clock.mono()
    if (into.size >= maxStanding) for (const [other, { untilMs }] of into) if (untilMs <= now) into.delete(other)
    if (into.size >= maxStanding && !into.has(key)) return false
    into.set(key, standing)
    return true
  }

  #shown({ id, call: { session, ...call }, shown, askedAt, expiresAtMs }: Kept): WaitingCall {
    const expiresInMs = Math.max(0, Math.round(expiresAtMs - this.#clock.mono()))
    return { id, ...call, arguments: shown, askedAt, expiresInMs, hasSession: session !== undefined }
  }
}

/** The arguments of a call for a person to read, cut when they are long: then they say how long they are. */
export function shownArguments(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.subarray(0, maxShownBytes)).toString('utf8')
  return bytes.length > maxShownBytes ? `${text}… (${bytes.length} bytes)` : text
}
