// The limit layer: how many calls a minute, how many bytes a minute, and how many at once, counted for each principal and tool.
import { hash } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import { matcher } from '../base/access/pattern.ts'
import { type Exchange, type Layer, type Outcome, through } from '../base/mcp/exchange.ts'
import { code } from '../base/mcp/protocol.ts'
import { stringAt } from '../base/wire/frame.ts'

export type Limit = {
  /** Patterns. */
  readonly principals: readonly string[]
  readonly upstreams: readonly string[]
  readonly tools: readonly string[]
  /** What is counted together: the calls of each tool by itself, or of all these tools; of one principal in any case. */
  readonly per: 'tool' | 'principal'
  readonly callsPerMinute?: number | undefined
  /** So many calls may come at once after a pause; as many as in a minute when absent. */
  readonly burst?: number | undefined
  /** Of calls and their results together. A result is counted when it is there, so one may go over: the next call waits for it. */
  readonly bytesPerMinute?: number | undefined
  readonly concurrent?: number | undefined
}

/** Why a call may not be made now, and when to try again. */
export type Refused = { readonly reason: string; readonly retryAfterSeconds: number }

/** A call that may be made: what it costs, and its end. */
export type Running = { spend(sizeBytes: number): void; end(): void }

const maxAccountsPerPrincipal = 1_000
const maxAccounts = 50_000
const maxNameLength = 128
const sweepMs = 1_000
const minuteMs = 60_000

class Bucket {
  readonly #perMinute: number
  readonly #most: number
  #left: number
  #atMs: number

  constructor(perMinute: number, most: number, nowMs: number) {
    this.#perMinute = perMinute
    this.#most = most
    this.#left = most
    this.#atMs = nowMs
  }

  /** Milliseconds until `needed` are there; 0: they are. */
  waitMs(needed: number, nowMs: number): number {
    this.#left = Math.min(this.#most, this.#left + ((nowMs - this.#atMs) * this.#perMinute) / minuteMs)
    this.#atMs = nowMs
    return this.#left >= needed ? 0 : ((needed - this.#left) * minuteMs) / this.#perMinute
  }

  /** May go below nothing: what is owed is waited for. */
  take(count: number): void {
    this.#left -= count
  }

  isFull(nowMs: number): boolean {
    this.waitMs(0, nowMs)
    return this.#left >= this.#most
  }
}

class Account {
  readonly limit: Limit
  readonly calls: Bucket | undefined
  readonly bytes: Bucket | undefined
  running = 0

  constructor(limit: Limit, nowMs: number) {
    const { callsPerMinute, burst, bytesPerMinute } = (this.limit = limit)
    if (callsPerMinute !== undefined) this.calls = new Bucket(callsPerMinute, burst ?? Math.max(1, callsPerMinute), nowMs)
    if (bytesPerMinute !== undefined) this.bytes = new Bucket(bytesPerMinute, bytesPerMinute, nowMs)
  }

  /** Nothing is remembered of it that a new one would not say. */
  isAtRest(nowMs: number): boolean {
    return this.running === 0 && (this.calls?.isFull(nowMs) ?? true) && (this.bytes?.isFull(nowMs) ?? true)
  }

  problem(nowMs: number): { readonly what: string; readonly waitMs: number } | undefined {
    const { callsPerMinute, bytesPerMinute, concurrent } = this.limit
    if (concurrent !== undefined && this.running >= concurrent) return { what: `${concurrent} at once`, waitMs: sweepMs }
    const callsMs = this.calls?.waitMs(1, nowMs) ?? 0
    if (callsMs > 0) return { what: `${callsPerMinute} calls a minute`, waitMs: callsMs }
    const bytesMs = this.bytes?.waitMs(1, nowMs) ?? 0
    return bytesMs > 0 ? { what: `${bytesPerMinute} bytes a minute`, waitMs: bytesMs } : undefined
  }
}

type Covering = Limit & { readonly covers: (principal: string, upstream: string, tool: string) => boolean }

export class Limits {
  readonly #clock: Pick<Clock, 'mono'>
  #limits: readonly Covering[] = []
  readonly #accounts = new Map<string, Map<string, Account>>()
  #count = 0
  #taken = ''
  #sweptAtMs = -sweepMs

  constructor(clock: Pick<Clock, 'mono'>, limits: readonly Limit[]) {
    this.#clock = clock
    this.take(limits)
  }

  /** Takes these in place of those it has; what was counted goes on to count where they are the same. */
  take(limits: readonly Limit[]): void {
    const next = JSON.stringify(limits)
    if (next === this.#taken) return
    this.#taken = next
    this.#limits = limits.map((limit) => {
      const [principals, upstreams, tools] = [limit.principals, limit.upstreams, limit.tools].map(matcher)
      return { ...limit, covers: (principal, upstream, tool) => principals!(principal) && upstreams!(upstream) && tools!(tool) }
    })
    this.#accounts.clear()
    this.#count = 0
  }

  /** Counts one call, unless a limit is reached. */
  begin(principal: string, upstream: string, tool: string): Running | Refused {
    const nowMs = this.#clock.mono()
    const accounts: Account[] = []
    for (const [index, limit] of this.#limits.entries()) {
      if (!limit.covers(principal, upstream, tool)) continue
      const name = tool.length > maxNameLength ? hash('sha256', tool) : tool
      const account = this.#account(principal, limit.per === 'tool' ? `${index} ${upstream} ${name}` : `${index}`, limit, nowMs)
      if (!account)
        return { reason: `${principal} has called too many different tools of ${upstream}`, retryAfterSeconds: minuteMs / 1_000 }
      const problem = account.problem(nowMs)
      if (problem) {
        const retryAfterSeconds = Math.ceil(problem.waitMs / 1_000)
        const subject = limit.per === 'tool' ? `${tool} of ${upstream}` : 'these tools'
        return { reason: `${principal} may use ${subject} for ${problem.what}: try again in ${retryAfterSeconds} s`, retryAfterSeconds }
      }
      accounts.push(account)
    }
    for (const account of accounts) {
      account.calls?.take(1)
      account.running++
    }
    return {
      spend: (sizeBytes) => {
        for (const { bytes } of accounts) bytes?.take(sizeBytes)
      },
      end: () => {
        for (const account of accounts) account.running--
      },
    }
  }

  /** Undefined when there is no room for another one. */
  #account(principal: string, key: string, limit: Limit, nowMs: number): Account | undefined {
    let own = this.#accounts.get(principal)
    const present = own?.get(key)
    if (present) return present
    if (this.#count >= maxAccounts || (own && own.size >= maxAccountsPerPrincipal)) this.#sweep(nowMs)
    own = this.#accounts.get(principal) ?? new Map<string, Account>()
    if (this.#count >= maxAccounts || own.size >= maxAccountsPerPrincipal) return undefined
    const account = new Account(limit, nowMs)
    own.set(key, account)
    this.#accounts.set(principal, own)
    this.#count++
    return account
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAtMs < sweepMs) return
    this.#sweptAtMs = nowMs
    for (const [principal, own] of this.#accounts) {
      for (const [key, account] of own) if (account.isAtRest(nowMs) && own.delete(key)) this.#count--
      if (own.size === 0) this.#accounts.delete(principal)
    }
  }
}

export type LimitNeeds = {
  readonly limits: Limits
  readonly upstream: string
  /** Records the refusal before the client hears of it. */
  refused(exchange: Exchange, reason: string): Promise<void>
}

type Told = { readonly code: 'gate.limited'; readonly retryAfterSeconds: number }

/** When what a limit refused may be tried again; undefined for any other outcome. */
export function retryAfterSeconds(outcome: Outcome): number | undefined {
  return outcome.is === 'refused' && outcome.code === code.limited ? (outcome.data as Told).retryAfterSeconds : undefined
}

export function limitLayer({ limits, upstream, refused }: LimitNeeds): Layer {
  return (next) => async (exchange, out) => {
    const { frame, principal } = exchange
    const tool = frame.kind === 'request' && frame.method === 'tools/call' ? stringAt(frame, frame.at.name) : undefined
    if (tool === undefined) return next(exchange, out)
    const running = limits.begin(principal.name, upstream, tool)
    if ('reason' in running) {
      const { reason, retryAfterSeconds } = running
      const data: Told = { code: 'gate.limited', retryAfterSeconds }
      await refused(exchange, reason)
      return { is: 'refused', reason, code: code.limited, data }
    }
    running.spend(frame.bytes.length)
    try {
      return await next(
        exchange,
        through(out, (incoming) => {
          running.spend(incoming.bytes.length)
          return out.write(incoming)
        }),
      )
    } finally {
      running.end()
    }
  }
}
