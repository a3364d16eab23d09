// Who asks the API for what: one holder of a lease for each key; the others wait until it says what came of it, or is gone.
import type { Clock } from '../../kernel/clock.ts'

/** `lease`: you ask, and tell `done`. `look`: it is there now. `alone`: ask for yourself, and tell nobody. */
export type Offer = 'lease' | 'look' | 'alone'
/** `forOne`: the answer is for who asked, so that nobody gains by waiting. */
export type Outcome = 'kept' | 'failed' | 'forOne'
/** Compared by identity. */
export type Member = object

export interface Board {
  want(member: Member, key: string): Promise<Offer>
  /** It is asking for it already, by the leave of another host; false: somebody else has the lease. */
  claim(member: Member, key: string): boolean
  done(member: Member, key: string, outcome: Outcome): void
  /** Its leases go to who waits, and it waits no more. */
  left(member: Member): void
}

type Waiting = { readonly member: Member; readonly answer: (offer: Offer) => void }
type Lease = { holder: Member; cancel: () => void; readonly waiting: Waiting[] }

const maxLeases = 65_536
const maxWaiting = 4_096

/** A holder that says nothing for `leaseMs` has lost its lease. */
export function createBoard(clock: Pick<Clock, 'after'>, leaseMs: number): Board {
  const leases = new Map<string, Lease>()
  const next = (key: string, lease: Lease): void => {
    lease.cancel()
    const first = lease.waiting.shift()
    if (!first) return void leases.delete(key)
    lease.holder = first.member
    lease.cancel = clock.after(leaseMs, () => next(key, lease))
    first.answer('lease')
  }
  const grant = (holder: Member, key: string): boolean => {
    if (leases.has(key) || leases.size >= maxLeases) return false
    const made: Lease = { holder, cancel: () => {}, waiting: [] }
    made.cancel = clock.after(leaseMs, () => next(key, made))
    leases.set(key, made)
    return true
  }
  return {
    claim: grant,
    want(member, key) {
      const lease = leases.get(key)
      if (!lease) return Promise.resolve(grant(member, key) ? 'lease' : 'alone')
      if (lease.waiting.length >= maxWaiting) return Promise.resolve('alone')
      return new Promise((answer) => lease.waiting.push({ member, answer }))
    },
    done(member, key, outcome) {
      const lease = leases.get(key)
      if (lease?.holder !== member) return
      if (outcome === 'failed') return next(key, lease)
      lease.cancel()
      leases.delete(key)
      for (const { answer } of lease.waiting) answer(outcome === 'kept' ? 'look' : 'alone')
    },
    left(member) {
      for (const [key, lease] of leases) {
        for (const { answer } of lease.waiting.filter((waiting) => waiting.member === member)) answer('alone')
        lease.waiting.splice(0, lease.waiting.length, ...lease.waiting.filter((waiting) => waiting.member !== member))
        if (lease.holder === member) next(key, lease)
      }
    },
  }
}
