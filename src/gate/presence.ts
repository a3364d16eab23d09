// Which gates of a cluster are there: each keeps an entry alive, and stops to count on it before the others stop to see it.
import { asFault } from '../kernel/fault.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { randomId } from '../kernel/random.ts'
import { type Bucket, holdMs } from '../base/kv/kv.ts'

/** Longer than the servers take to find a new leader, with some to spare. */
const ttlMs = 30_000
const beatMs = 3_000
const nothing = new Uint8Array()

export class Presence implements AsyncDisposable {
  readonly id = randomId(9)
  readonly #bucket: Bucket
  readonly #clock: Clock
  readonly #log: Log
  readonly #others = new Set<string>()
  #revision = 0
  #sureUntilMs = -Infinity
  #cancel: () => void = () => {}
  #beating: Promise<void> = Promise.resolve()

  private constructor(needs: PresenceNeeds) {
    this.#bucket = needs.bucket
    this.#clock = needs.clock
    this.#log = needs.log
  }

  /** Begins to say that this gate is there; with a cluster that cannot be written to now, as soon as it can. Fault `kv.unavailable`. */
  static async open(needs: PresenceNeeds): Promise<Presence> {
    const presence = new Presence(needs)
    for await (const { key } of needs.bucket.list()) presence.#others.add(key)
    await presence.#write().catch((error: unknown) => needs.log.warn('gate.presence.unsaid', { error: asFault(error) }))
    presence.#again()
    return presence
  }

  /** Since when it is sure without a break (monotonic ms): what was taken before that may have been given to others. */
  sureSinceMs = 0

  /** True while no other gate can have taken this one for dead. */
  isSure(): boolean {
    return this.#clock.mono() < this.#sureUntilMs
  }

  /** Which of these gates are not there any more. One that nobody here has heard of yet is looked for. */
  async gone(ids: readonly string[]): Promise<ReadonlySet<string>> {
    const gone = new Set<string>()
    for (const id of ids) {
      if (id === this.id || this.#others.has(id)) continue
      if (await this.#bucket.get(id)) this.#others.add(id)
      else gone.add(id)
    }
    return gone
  }

  /** As far as is known here. */
  isThere(id: string): boolean {
    return id === this.id || this.#others.has(id)
  }

  /** How many there are, this one included. */
  get count(): number {
    return this.#others.size + 1
  }

  async follow(signal: AbortSignal): Promise<void> {
    for await (const change of this.#bucket.watch(signal)) {
      if (change.is === 'set' && change.entry.key !== this.id) this.#others.add(change.entry.key)
      else if (change.is === 'deleted') this.#others.delete(change.key)
    }
  }

  #again(): void {
    this.#cancel = this.#clock.after(beatMs, () => {
      this.#beating = this.#beat()
        .catch((error: unknown) => this.#log.debug('gate.presence.unsaid', { error: asFault(error) }))
        .finally(() => this.#again())
    })
  }

  async #beat(): Promise<void> {
    await this.#write()
    for (const id of this.#others) if (!(await this.#bucket.get(id))) this.#others.delete(id) // who did not beat in time
  }

  async #write(): Promise<void> {
    const fromMs = this.#clock.mono()
    const written =
      this.#revision === 0
        ? await this.#bucket.create(this.id, nothing, { ttlMs })
        : await this.#bucket.update(this.id, nothing, this.#revision, { ttlMs })
    this.#revision = written ?? (await this.#bucket.get(this.id))?.revision ?? 0 // a write of before may have arrived late
    if (written === undefined) return
    if (!this.isSure()) this.sureSinceMs = this.#clock.mono()
    this.#sureUntilMs = fromMs + holdMs(ttlMs)
  }

  /** The others see at once that it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancel()
    await this.#beating
    this.#cancel()
    await this.#bucket.delete(this.id, this.#revision).catch(() => {}) // then it expires
  }
}

type PresenceNeeds = { readonly bucket: Bucket; readonly clock: Clock; readonly log: Log }
