// The accounts that this gate shares with the other gates of its cluster, and what it gives back of them now and then.
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Account, Limit } from './account.ts'
import { SharedAccount, type SharedAccountNeeds } from './shared-account.ts'

const lookMs = 1_000
/** So many accounts are written at once. */
const atOnce = 16
/** Entries that nobody uses any more are removed by whoever lists them, so often. */
const sweepMs = 10 * 60_000

export class SharedAccounts implements AsyncDisposable {
  readonly #needs: SharedAccountNeeds & { readonly log: Log }
  /** Those that may have taken something. */
  readonly #out = new Set<SharedAccount>()
  #cancel: () => void = () => {}
  #looking: Promise<void> = Promise.resolve()
  #sweptAtMs: number

  constructor(needs: SharedAccountNeeds & { readonly log: Log }) {
    this.#needs = needs
    this.#sweptAtMs = needs.clock.mono()
    this.#again()
  }

  account(key: string, limit: Limit): Account {
    return new SharedAccount(this.#needs, key, limit, (account) => this.#out.add(account))
  }

  #again(): void {
    this.#cancel = this.#needs.clock.after(lookMs, () => {
      this.#looking = this.#look()
        .catch((error: unknown) => this.#needs.log.warn('gate.limits.not_looked_at', { error: asFault(error) }))
        .finally(() => this.#again())
    })
  }

  async #look(): Promise<void> {
    const all = [...this.#out]
    for (let from = 0; from < all.length; from += atOnce) {
      const some = all.slice(from, from + atOnce)
      await Promise.all(some.map(async (account) => (await account.look()) || this.#out.delete(account)))
    }
    const nowMs = this.#needs.clock.mono()
    if (nowMs - this.#sweptAtMs < sweepMs) return
    this.#sweptAtMs = nowMs
    for await (const _ of this.#needs.bucket.list()); // what has expired goes
  }

  /** Gives everything back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancel()
    await this.#looking
    this.#cancel()
    for (const account of this.#out) account.leave()
    await Promise.all([...this.#out].map((account) => account.look()))
  }
}
