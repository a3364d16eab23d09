// A member of a group: asks its host for entries and leases, tells it what it has counted, and goes on alone when there is none.
import type { Duplex } from 'node:stream'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Counts } from '../counts.ts'
import type { Group } from '../entry/group.ts'
import type { Shelf } from '../shelf.ts'
import { type Cluster, type Heard, type Way, wayAt } from './cluster.ts'
import { keepLink } from './keep-link.ts'
import { type Link, openLink } from './link.ts'
import type { Received } from './messages.ts'

export type MemberNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly group: Group
  readonly shelf: Pick<Shelf, 'count'>
  readonly dial: (way: Way, signal: AbortSignal) => Promise<Duplex>
  /** The entry for a key, if it is kept here and holds. */
  readonly kept: (key: string) => Uint8Array | undefined
  /** What it has counted so far. */
  readonly counted: () => Counts
  /** There is a host, or none any more. */
  readonly onChange?: (hasHost: boolean) => void
}

export type MemberSettings = {
  /** Our peer id. */
  readonly own: string
  /** Tried in this order. */
  readonly bootstrap: readonly Way[]
  /** Where others may come to this member; absent: nowhere. */
  readonly port?: number | undefined
  /** What it shares answers by, hidden. */
  readonly scope: string
  /** For so long a question waits for the next host. */
  readonly graceMs?: number | undefined
}

export interface Membership extends Cluster {
  /** How the first try ended: undefined when a host let us in. */
  readonly begun: Promise<Error | undefined>
  /** Keys that the API is being asked for, by the leave of a host: the next one is told. */
  readonly asking: Set<string>
  /** Where members go when the host is gone, as it said. */
  others(): readonly string[]
  close(): Promise<void>
}

const countsMs = 2_000
const maxTries = 3
const maxAheadMs = 30_000
/** What is forgotten while there is no host to be told; more than fit into one message count as all. */
const maxUntold = 64

export function createMembership(needs: MemberNeeds, { own, bootstrap, port, scope, graceMs }: MemberSettings): Membership {
  const { clock, log, group, shelf, dial, counted, onChange, kept: inShelf } = needs
  let others: readonly string[] = []
  let heard: Heard = { forget() {}, hold() {} }
  const asking = new Set<string>()
  let told = ''
  const untold = new Set<string>()
  let isAllUntold = false
  const onMessage = ({ message, bytes }: Received): void => {
    if (message.is === 'forget') heard.forget(message.subjects)
    else if (message.is === 'hold') heard.hold(message.budget, bytes)
    else if (message.is === 'others') others = message.addresses
    else if (message.is === 'about') compare(message)
  }
  const compare = (host: { readonly atMs: number; readonly scope: string }): void => {
    const aheadMs = Math.round(clock.now() - host.atMs)
    if (Math.abs(aheadMs) > maxAheadMs) log.warn('share.clock_differs', { aheadMs })
    if (host.scope !== scope)
      log.warn('share.scope_differs', { hint: 'start host and runners with the same --shared-scope, or all without' })
  }
  /** Those that come before us: they are the host sooner than we are. */
  const ways = (): readonly Way[] => {
    const known = others.map(wayAt).filter((way) => way !== undefined)
    const at = known.findIndex(({ peer }) => peer === own)
    return [...bootstrap, ...(at < 0 ? known : known.slice(0, at))]
  }
  const tellCounts = (): void => {
    const counts = counted()
    const text = JSON.stringify(counts)
    if (text !== told) kept.now?.tell({ is: 'counts', counts })
    if (kept.now) told = text
  }
  const forget = (subjects?: readonly string[]): void => {
    if (kept.now) return kept.now.tell({ is: 'forget', ...(subjects ? { subjects } : {}) })
    for (const subject of subjects ?? []) untold.add(subject)
    if (!subjects || untold.size > maxUntold) isAllUntold = true
    if (isAllUntold) untold.clear()
  }
  const tellForgotten = (): void => {
    if (isAllUntold) forget()
    else if (untold.size > 0) forget([...untold])
    isAllUntold = false
    untold.clear()
  }
  const onBad = (): void => shelf.count('refused')
  const begin = (link: Link): void => {
    told = ''
    if (port !== undefined) link.tell({ is: 'listens', port })
    tellForgotten()
    for (const key of asking) link.tell({ is: 'claim', key })
    tellCounts()
  }
  const kept = keepLink({
    clock,
    log,
    ways,
    graceMs,
    open: (way, signal) =>
      openLink({ clock, group, dial, kept: inShelf, onMessage, onBad, onEnd: (link) => kept.lost(link) }, { way, own }, signal),
    onChange(link) {
      if (link) begin(link)
      onChange?.(link !== undefined)
    },
  })
  let cancel = (): void => {}
  const tick = (): void => {
    tellCounts()
    cancel = clock.after(countsMs, tick)
  }
  tick()
  return {
    begun: kept.begun,
    asking,
    others: () => others,
    async want(key) {
      for (let tries = 0; tries < maxTries; tries++) {
        const link = await kept.ready()
        const got = link ? await link.want(key) : ({ is: 'alone' } as const)
        if (got?.is === 'lease') asking.add(key)
        if (got) return got
      }
      return { is: 'alone' }
    },
    done(key, subject, outcome, sealed) {
      if (asking.delete(key)) kept.now?.tell({ is: 'done', key, subject, outcome }, sealed)
    },
    forget,
    hold: (budget, sealed) => kept.now?.tell({ is: 'hold', budget }, sealed),
    listen: (given) => (heard = given),
    get connected() {
      return kept.now ? [{ peer: kept.now.host, since: kept.now.since }] : []
    },
    close() {
      cancel()
      tellCounts()
      return kept.close()
    },
  }
}
