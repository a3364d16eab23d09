// Keeps a link to the best host there is: the first that lets us in, another when that is gone, the first again when it is back.
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Way } from './cluster.ts'
import type { Link } from './link.ts'
import { Busy, NoMember } from './proof.ts'

export type KeepNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly open: (way: Way, signal: AbortSignal) => Promise<Link>
  /** Where to look, the best first: asked each time. */
  readonly ways: () => readonly Way[]
  /** For so long a question waits for the next host. */
  readonly graceMs?: number | undefined
  /** There is another host, or none. */
  readonly onChange: (link: Link | undefined) => void
}

export interface KeptLink {
  /** How the first try ended: undefined when a host let us in. */
  readonly begun: Promise<Error | undefined>
  readonly now: Link | undefined
  /** The link, or undefined when there is none. Just after a loss it waits for the next one, for a moment. */
  ready(): Promise<Link | undefined>
  /** To be called by the link when it ends. */
  lost(link: Link): void
  close(): Promise<void>
}

type Found = { readonly link: Link; readonly better: readonly Way[] }

/** After the first failure; twice as long after each further one. */
const againMs = 1_000
const maxAgainMs = 10_000
const refusedMs = 60_000
/** Who does not know yet that its host is gone does so by then. */
const busyMs = 250
/** Another host is looked for at once, unless the last one was lost so shortly before. */
const steadyMs = 1_000
/** How often a better host than the present one is looked for. */
const lookMs = 5_000

export function keepLink({ clock, log, open, ways, onChange, graceMs = 3_000 }: KeepNeeds): KeptLink {
  const stop = new AbortController()
  const begun = Promise.withResolvers<Error | undefined>()
  let link: Link | undefined
  let settled = moment()
  function moment(): PromiseWithResolvers<void> {
    const made = Promise.withResolvers<void>()
    clock.after(graceMs, made.resolve)
    return made
  }
  const lost = (ended: Link): void => {
    if (link !== ended) return
    link = undefined
    settled = moment()
    onChange(undefined)
  }
  const firstOf = async (list: readonly Way[]): Promise<Found> => {
    let last: unknown = new Error('there is nobody to go to')
    for (const [at, way] of list.entries()) {
      try {
        const opened = await open(way, stop.signal)
        if (stop.signal.aborted) void opened.close()
        stop.signal.throwIfAborted()
        return { link: opened, better: list.slice(0, at) }
      } catch (error) {
        if (error instanceof Busy || stop.signal.aborted) throw error
        if (!(last instanceof NoMember)) last = error
      }
    }
    throw last
  }
  /** Undefined when the link has ended. */
  const betterThan = async ({ link: present, better }: Found): Promise<Found | undefined> => {
    const over = new AbortController()
    void present.ended.then(() => over.abort())
    while (!over.signal.aborted) {
      if (better.length === 0) await present.ended
      else await clock.wait(lookMs, over.signal).catch(() => {})
      const found = over.signal.aborted ? undefined : await firstOf(better).catch(() => undefined)
      if (found) return found
    }
    return undefined
  }
  /** As long as there is a host. */
  const follow = async (first: Found): Promise<string> => {
    for (let found = first; ;) {
      const present = found.link
      link = present
      onChange(link)
      settled.resolve()
      const next = await betterThan(found)
      if (!next) {
        lost(present) // it may have ended before it was ours
        return present.ended
      }
      found = next
      link = found.link // before the other one is lost
      void present.close()
    }
  }
  const run = async (): Promise<void> => {
    let [waitMs, told, lostAtMs] = [againMs, '', Number.NEGATIVE_INFINITY]
    while (!stop.signal.aborted) {
      let [reason, pauseMs] = ['', waitMs]
      try {
        const found = await firstOf(ways())
        begun.resolve(undefined)
        told = ''
        waitMs = againMs
        reason = await follow(found)
        pauseMs = clock.mono() - lostAtMs > steadyMs ? 0 : againMs
        lostAtMs = clock.mono()
      } catch (error) {
        begun.resolve(error as Error)
        reason = reasonOf(error)
        if (error instanceof Busy) pauseMs = busyMs
        else {
          settled.resolve()
          pauseMs = error instanceof NoMember ? refusedMs : waitMs
          waitMs = Math.min(2 * waitMs, maxAgainMs)
        }
      }
      if (stop.signal.aborted) return
      if (reason !== told) log.warn('share.host_lost', { reason })
      told = reason
      if (pauseMs > 0) await clock.wait(pauseMs, stop.signal).catch(() => {})
    }
  }
  void run()
  return {
    begun: begun.promise,
    get now() {
      return link
    },
    async ready() {
      if (!link && !stop.signal.aborted) await settled.promise
      return link
    },
    lost,
    async close() {
      stop.abort()
      settled.resolve()
      await link?.close()
    },
  }
}
