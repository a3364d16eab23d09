// Bounds how many servers run at once for sessions and principals: the idlest that nobody needs now makes room for the next.
import type { Leg } from '../base/mcp/exchange.ts'
import { fault } from './faults.ts'

/** Far below what sessions may number: a session costs a record, an awake one a process. */
export const defaultChildren = { max: 256, maxPerPrincipal: 64 } as const

export type ChildrenSettings = { readonly max: number; readonly maxPerPrincipal: number }

/** A running server that may be stopped: whoever it is for starts it again with the next message. */
export type Idle = { readonly principal: string | undefined; readonly usedAtMs: number; stop(): Promise<void> }

export class Children {
  readonly #settings: ChildrenSettings
  readonly #idle: () => readonly Idle[]
  readonly #counts = new Map<string | undefined, number>()
  readonly #going = new Set<Promise<void>>()
  #all = 0

  /** `idle` names what may be stopped now, in any order. */
  constructor(settings: ChildrenSettings, idle: () => readonly Idle[]) {
    this.#settings = settings
    this.#idle = idle
  }

  /** What runs now, or is just ending. */
  get running(): number {
    return this.#all
  }

  /** Opens a leg that costs a process, for this principal (undefined: for everybody). Fault `gate.too_many_children` when all that run are busy. */
  async open<L extends Leg>(principal: string | undefined, open: () => Promise<L>): Promise<L> {
    const { max, maxPerPrincipal } = this.#settings
    for (let full = this.#full(principal); full; full = this.#full(principal)) {
      const isOwn = full === 'principal'
      const [idlest] = this.#idle()
        .filter((one) => !isOwn || one.principal === principal)
        .sort((a, b) => a.usedAtMs - b.usedAtMs)
      if (idlest) await idlest.stop()
      else if (this.#going.size === 0)
        throw isOwn
          ? fault.too_many_children({ max: maxPerPrincipal, whose: `${principal} has`, setting: 'max_children_per_principal' })
          : fault.too_many_children({ max, whose: 'there are', setting: 'max_children' })
      if (this.#full(principal) && this.#going.size > 0) await Promise.race(this.#going)
    }
    this.#add(principal, 1)
    try {
      const leg = await open()
      void leg.ended.then(() => this.#go(leg, principal))
      return leg
    } catch (error) {
      this.#add(principal, -1)
      throw error
    }
  }

  #full(principal: string | undefined): 'principal' | 'gate' | undefined {
    if (principal !== undefined && this.#count(principal) >= this.#settings.maxPerPrincipal) return 'principal'
    return this.#all >= this.#settings.max ? 'gate' : undefined
  }

  /** A leg has ended before its process has: that one counts until it is gone. */
  #go(leg: Leg, principal: string | undefined): void {
    const going = leg
      .close()
      .catch(() => {})
      .then(() => {
        this.#going.delete(going)
        this.#add(principal, -1)
      })
    this.#going.add(going)
  }

  #count(principal: string | undefined): number {
    return this.#counts.get(principal) ?? 0
  }

  #add(principal: string | undefined, change: 1 | -1): void {
    this.#all += change
    const count = this.#count(principal) + change
    if (count === 0) this.#counts.delete(principal)
    else this.#counts.set(principal, count)
  }
}
