// The limits: how many calls a minute, how many bytes a minute, and how many at once, counted for each principal and tool.
import { hash } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { matcher } from '../../base/access/pattern.ts'
import { type Account, type Limit, OwnAccount } from './account.ts'
import { minuteMs } from './bucket.ts'

/** Why a call may not be made now, and when to try again. */
export type Refused = { readonly reason: string; readonly retryAfterSeconds: number }

/** A call that may be made: what it costs, and its end. */
export type Running = { spend(sizeBytes: number): void; end(): void }

/** Where gates count together: makes the account of this key, equal at all gates. */
export type SharedAccounts = { account(key: string, limit: Limit): Account }

const maxAccountsPerPrincipal = 1_000
const maxAccounts = 50_000
const maxNameLength = 128
const sweepMs = 1_000
/** What others may take from under a call that asks for several things in turn. */
const maxTries = 16

type Covering = Limit & { readonly covers: (principal: string, upstream: string, tool: string) => boolean }
type More = { more(): Promise<void> }

export class Limits {
  readonly #clock: Pick<Clock, 'mono'>
  readonly #shared: SharedAccounts | undefined
  #limits: readonly Covering[] = []
  readonly #accounts = new Map<string, Map<string, Account>>()
  #count = 0
  #taken = ''
  #sweptAtMs = -sweepMs

  /** `shared`: where other gates count, too; else each call is counted here alone, and at once. */
  constructor(clock: Pick<Clock, 'mono'>, limits: readonly Limit[], shared?: SharedAccounts) {
    this.#clock = clock
    this.#shared = shared
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
    for (const own of this.#accounts.values()) for (const account of own.values()) account.leave?.()
    this.#accounts.clear()
    this.#count = 0
  }

  /** Counts one call, unless a limit is reached. A promise only where other gates have to be asked: never while what was asked for last is enough. */
  begin(principal: string, upstream: string, tool: string): Running | Refused | Promise<Running | Refused> {
    const made = this.#try(principal, upstream, tool)
    return 'more' in made ? this.#beginAfter(made, principal, upstream, tool) : made
  }

  async #beginAfter(first: More, principal: string, upstream: string, tool: string): Promise<Running | Refused> {
    let made: Running | Refused | More = first
    for (let tries = 0; 'more' in made; tries++) {
      if (tries === maxTries) return { reason: `other calls of ${principal} were faster: try again in 1 s`, retryAfterSeconds: 1 }
      await made.more()
      made = this.#try(principal, upstream, tool)
    }
    return made
  }

  #try(principal: string, upstream: string, tool: string): Running | Refused | More {
    const nowMs = this.#clock.mono()
    const accounts: Account[] = []
    for (const [index, limit] of this.#limits.entries()) {
      if (!limit.covers(principal, upstream, tool)) continue
      const name = tool.length > maxNameLength ? hash('sha256', tool) : tool
      const account = this.#account(principal, limit.per === 'tool' ? `${index} ${upstream} ${name}` : `${index}`, limit, nowMs)
      if (!account)
        return { reason: `${principal} has called too many different tools of ${upstream}`, retryAfterSeconds: minuteMs / 1_000 }
      const problem = account.problem(nowMs)
      if (problem?.more) return { more: problem.more }
      if (problem) {
        const retryAfterSeconds = Math.ceil(problem.waitMs / 1_000)
        const subject = limit.per === 'tool' ? `${tool} of ${upstream}` : 'these tools'
        return { reason: `${principal} may use ${subject} ${problem.what}: try again in ${retryAfterSeconds} s`, retryAfterSeconds }
      }
      accounts.push(account)
    }
    for (const account of accounts) account.begin()
    return {
      spend: (sizeBytes) => {
        for (const account of accounts) account.spend(sizeBytes)
      },
      end: () => {
        for (const account of accounts) account.end()
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
    const account = this.#shared?.account(keyOf(principal, key, limit), limit) ?? new OwnAccount(limit, nowMs)
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

/** The same at all gates that have the same limits. */
function keyOf(principal: string, key: string, { principals, upstreams, tools, per, ...amounts }: Limit): string {
  return hash('sha256', JSON.stringify([principal, key, principals, upstreams, tools, per, amounts]), 'base64url')
}
