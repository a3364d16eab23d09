// An account that several gates count in: each takes a part of what is allowed ahead of its calls, and gives back what it does not need.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Bucket } from '../../base/kv/kv.ts'
import type { Account, Limit, Problem } from './account.ts'
import { type Allowance, type Lack, type Part, noPart, take, usualPart, wholeAfterMs } from './allowance.ts'

export type SharedAccountNeeds = {
  readonly bucket: Bucket
  readonly clock: Clock
  /** Those that count together. */
  readonly gates: {
    /** This one. */
    readonly id: string
    /** True while the others take this gate for one that is there. */
    isSure(): boolean
    /** Since when without a break (monotonic ms): what was taken before may have been given to others. */
    readonly sureSinceMs: number
    /** Which of these are not there any more. */
    gone(gates: readonly string[]): Promise<ReadonlySet<string>>
  }
}

type Kept = { readonly allowance: Allowance | undefined; readonly revision: number }

/** What was taken so long ago is given back and taken anew, behind the calls; while the cluster cannot be reached it is used for longer. */
const freshMs = 10_000
const goodForMs = 60_000
const maxTries = 8
/** A cluster that cannot be asked is asked again after so long. */
const retryMs = 1_000
/** An entry lives at least so long, and is written again in time while its calls run. */
const leastTtlMs = 10 * 60_000
/** Parts of fewer calls are taken when they are needed: ahead, they would be kept from other gates. */
const leastAhead = 4

export class SharedAccount implements Account {
  readonly #needs: SharedAccountNeeds
  readonly #key: string
  readonly #limit: Limit
  readonly #usual: Part
  readonly #ttlMs: number
  #calls = 0
  #bytes = 0
  /** How many calls it may run at once. */
  #may = 0
  /** As many as the others may believe that it may run. */
  #told = 0
  #running = 0
  /** The most that ran at once since the last look. */
  #peak = 0
  #takenAtMs = -Infinity
  #writtenAtMs = -Infinity
  #kept: Kept | undefined
  #taking: Promise<void> | undefined
  #waiting = 0
  #lack: (Omit<Lack, 'of' | 'waitMs'> & { readonly of: Lack['of'] | 'cluster'; readonly untilMs: number }) | undefined
  #hasLeft = false

  /** Told when it is about to take something. */
  readonly #takes: (account: SharedAccount) => void

  constructor(needs: SharedAccountNeeds, key: string, limit: Limit, takes: (account: SharedAccount) => void) {
    this.#needs = needs
    this.#takes = takes
    this.#key = key
    this.#limit = limit
    this.#usual = usualPart(limit)
    this.#ttlMs = Math.max(leastTtlMs, 2 * wholeAfterMs(limit))
  }

  problem(nowMs: number): Problem | undefined {
    const { callsPerMinute, bytesPerMinute, concurrent } = this.#limit
    const isGood = nowMs - this.#takenAtMs < goodForMs
    const lacks = {
      running: concurrent !== undefined && (this.#running >= this.#may || !this.#isSureOfRunning()),
      calls: callsPerMinute !== undefined && (this.#calls < 1 || !isGood),
      bytes: bytesPerMinute !== undefined && (this.#bytes < 1 || !isGood),
      cluster: true,
    }
    if (!lacks.running && !lacks.calls && !lacks.bytes) return undefined
    if (lacks.running && !this.#needs.gates.isSure())
      return { what: 'when the gates can count together: the cluster cannot be reached', waitMs: retryMs }
    const lack = this.#lack
    if (lack && nowMs < lack.untilMs && lacks[lack.of]) return { what: lack.what, waitMs: lack.untilMs - nowMs }
    return { what: '', waitMs: 0, more: () => this.#more() }
  }

  #isSureOfRunning(): boolean {
    const { gates } = this.#needs
    return gates.isSure() && this.#takenAtMs >= gates.sureSinceMs
  }

  begin(): void {
    const { callsPerMinute, bytesPerMinute } = this.#limit
    this.#running++
    this.#peak = Math.max(this.#peak, this.#running)
    if (callsPerMinute !== undefined) this.#calls--
    const isLow = callsPerMinute !== undefined && this.#calls < this.#usual.calls / 2 && this.#usual.calls >= leastAhead
    const isLowOfBytes = bytesPerMinute !== undefined && this.#bytes < this.#usual.bytes / 2
    if ((isLow || isLowOfBytes) && !this.#taking && !this.#lack) void this.#more()
  }

  spend(sizeBytes: number): void {
    if (this.#limit.bytesPerMinute !== undefined) this.#bytes -= sizeBytes
  }

  end(): void {
    this.#running--
  }

  /** What lies in the cluster is not forgotten with it; while it has a part of that, it is needed. */
  isAtRest(): boolean {
    return this.#running === 0 && this.#waiting === 0 && !this.#isHolding
  }

  leave(): void {
    this.#hasLeft = true
  }

  get #isHolding(): boolean {
    return this.#calls !== 0 || this.#bytes !== 0 || this.#told > 0
  }

  /** Now and then: gives back what it does not need, says what it owes. False when nothing of it is out any more. */
  async look(): Promise<boolean> {
    const nowMs = this.#needs.clock.mono()
    const peak = this.#peak
    this.#peak = this.#running
    if (this.#taking) return true
    const isOver = this.#hasLeft || nowMs - this.#takenAtMs >= freshMs
    const keeps = Math.max(peak, Math.min(2 * peak, this.#usual.running)) // some for the next calls, should the cluster be away then
    const wants: Part = {
      ...(!isOver ? { calls: this.#calls, bytes: Math.max(0, this.#bytes) } : peak > 0 && !this.#hasLeft ? this.#usual : noPart),
      running: keeps,
    }
    const hasTooMuch = this.#told > keeps || (isOver && (this.#calls !== 0 || this.#bytes !== 0)) || this.#bytes < 0
    const mustBeWritten = this.#told > 0 && nowMs - this.#writtenAtMs > this.#ttlMs / 3
    if (hasTooMuch || mustBeWritten) await (this.#taking = this.#take(wants).finally(() => (this.#taking = undefined)))
    return this.#isHolding || this.#running > 0
  }

  /** Takes a part, or finds out why there is none. Never rejects. */
  async #more(): Promise<void> {
    this.#waiting++
    this.#takes(this)
    try {
      await (this.#taking ??= this.#take().finally(() => (this.#taking = undefined)))
    } finally {
      this.#waiting--
    }
  }

  async #take(said?: Part): Promise<void> {
    const { clock } = this.#needs
    const lacks = (of: Lack['of'] | 'cluster', what: string, waitMs: number): void => {
      this.#lack = { of, what, untilMs: clock.mono() + waitMs }
    }
    try {
      for (let tries = 0; tries < maxTries; tries++) {
        const wants = said ?? this.#wanted()
        const lack = await this.#tryToTake(wants)
        if (lack === 'again') continue
        if (lack && !said) lacks(lack.of, lack.what, lack.waitMs)
        else this.#lack = undefined
        return
      }
      lacks('cluster', 'when other gates take less of it', retryMs)
    } catch (error) {
      lacks('cluster', `when the gates can count together (${asFault(error).message})`, retryMs)
    }
  }

  #wanted(): Part {
    const { calls, bytes, running } = this.#usual
    return {
      calls: Math.max(calls, this.#waiting),
      bytes,
      running: Math.max(this.#may, this.#running + Math.max(running, this.#waiting)),
    }
  }

  /** One try: what is given up is given up before it is written, what is taken is taken after. */
  async #tryToTake(wants: Part): Promise<Lack | undefined | 'again'> {
    const { bucket, clock, gates } = this.#needs
    const isFromBefore = this.#kept !== undefined
    const kept = (this.#kept ??= await this.#read())
    const gone = await gates.gone(Object.keys(kept.allowance?.running ?? {}))
    // From here on nothing is waited for until it is written.
    const has: Part = { calls: this.#calls, bytes: this.#bytes, running: this.#may }
    const [calls, bytes] = [Math.min(has.calls, wants.calls), Math.min(has.bytes, wants.bytes)]
    const atMs = clock.mono()
    const taking = { gate: gates.id, has, wants, runs: this.#running, gone, nowMs: clock.now() }
    const { allowance, part, lack } = take(this.#limit, kept.allowance, taking)
    const isNothing = lack !== undefined && part.calls === has.calls && part.bytes === has.bytes && part.running === this.#told
    this.#kept = undefined
    if (isNothing) return isFromBefore ? 'again' : lack // another may have given back since
    this.#calls = calls
    this.#bytes = bytes
    this.#may = Math.min(this.#may, part.running)
    const before = this.#told
    this.#told = Math.max(before, part.running)
    const value = Buffer.from(JSON.stringify(allowance))
    const options = { ttlMs: this.#ttlMs }
    const revision = await (kept.revision === 0
      ? bucket.create(this.#key, value, options)
      : bucket.update(this.#key, value, kept.revision, options))
    if (revision === undefined) {
      this.#calls += has.calls - calls // nothing was given back
      this.#bytes += has.bytes - bytes
      this.#told = before
      return 'again'
    }
    this.#kept = { allowance, revision }
    this.#calls += part.calls - calls
    this.#bytes += part.bytes - bytes
    this.#may = this.#told = part.running
    this.#takenAtMs = this.#writtenAtMs = atMs
    return lack
  }

  async #read(): Promise<Kept> {
    const entry = await this.#needs.bucket.get(this.#key)
    return entry
      ? { allowance: JSON.parse(Buffer.from(entry.value).toString('utf8')) as Allowance, revision: entry.revision }
      : { allowance: undefined, revision: 0 }
  }
}
