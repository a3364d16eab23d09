// A server that several clients use: opened on first use, initialized once for all, and gone for all of them at once when it ends.
import { type Leg, type Outcome } from '../base/mcp/exchange.ts'
import type { InitializeParams } from '../base/mcp/leg/ask.ts'
import { type OpenLeg, SharedLeg } from '../base/mcp/leg/multiplexed.ts'
import { fault as legFault } from '../base/mcp/leg/wire.ts'
import type { Sink } from '../base/wire/wire.ts'

export type PooledNeeds = {
  readonly upstream: string
  /** Whom it is for; undefined: for everybody. */
  readonly principal: string | undefined
  readonly open: OpenLeg
  /** For a legacy server; undefined for a modern one. */
  readonly params: InitializeParams | undefined
  /** Told once, when this server can carry nothing more. */
  readonly over: () => void
}

export class Pooled {
  readonly #needs: PooledNeeds
  readonly #shared: SharedLeg
  readonly #ends = new Set<(reason: string) => void>()
  #server: Leg | undefined
  #end: string | undefined
  isReady = false
  /** Monotonic milliseconds. */
  usedAtMs = 0
  /** Exchanges that run now. */
  uses = 0

  constructor(needs: PooledNeeds) {
    this.#needs = needs
    this.#shared = new SharedLeg((side) => this.#open(side), needs.params)
  }

  get principal(): string | undefined {
    return this.#needs.principal
  }

  get memberCount(): number {
    return this.#ends.size
  }

  /** Resolves when the server has been opened and, if it is a legacy one, initialized. One that fails to is over. */
  async ready(): Promise<void> {
    try {
      await this.#shared.ready()
      this.isReady = true
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** A leg for one client; it ends with the server, so that whoever holds it opens another and tells that one what must be told again. */
  join(side: Sink): Leg {
    const member = this.#shared.join(side)
    const { promise: ended, resolve } = Promise.withResolvers<string>()
    if (this.#end === undefined) this.#ends.add(resolve)
    else resolve(this.#end)
    return {
      era: member.era,
      get tellsApart() {
        return member.tellsApart
      },
      request: (frame, headers, out, abort) => this.#gone() ?? member.request(frame, headers, out, abort),
      send: (frame, headers) => this.#gone() ?? member.send(frame, headers),
      listen: () => member.listen(),
      ended,
      close: async () => {
        this.#ends.delete(resolve)
        await member.close()
        resolve('closed')
      },
    }
  }

  /** Ends it for every member; resolves when the server is gone. */
  async close(): Promise<void> {
    this.#finish('closed')
    await this.#server?.close()
  }

  async #open(side: Sink): Promise<Leg> {
    if (this.#end === undefined) {
      const server = (this.#server = await this.#needs.open(side))
      void server.ended.then((reason) => this.#finish(reason))
    }
    if (this.#end === undefined) return this.#server!
    await this.#server?.close()
    throw legFault.gone({ upstream: this.#needs.upstream, reason: this.#end })
  }

  #gone(): Promise<Outcome> | undefined {
    if (this.#end === undefined) return undefined
    return Promise.resolve({ is: 'notSent', fault: legFault.gone({ upstream: this.#needs.upstream, reason: this.#end }) })
  }

  #finish(reason: string): void {
    if (this.#end !== undefined) return
    this.#end = reason
    this.#needs.over()
    for (const end of this.#ends) end(reason)
    this.#ends.clear()
  }
}
