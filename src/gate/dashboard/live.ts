// Live data as server-sent events: operations that only tell something, asked again and again on behalf of one page, which hears what is another than before.
import type { ServerResponse } from 'node:http'
import type { z } from 'zod'
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { asks } from './api.ts'
import type { Told } from './client.ts'
import { fault } from './faults.ts'
import type { Person } from './people.ts'
import { type Daemons, checkLevel, isLook } from './reach.ts'

/** Pages that are open at once. */
const maxStreams = 64
/** Of one person: the rest is for the others. A browser opens six to one place. */
const maxStreamsOfOne = 16
/** A stream that has nothing to say shows so often that it lives, and looks whether it still may. */
const beatMs = 10_000
/** Of one answer: a page that is asked for more has asked for too much. */
const maxEventBytes = 8 << 20

type Ask = z.output<typeof asks>[number]
type Open = { readonly check: () => void; whose?: string }
export type LiveNeeds = { readonly clock: Clock; readonly log: Log; readonly daemons: Daemons }

export class Live {
  readonly #needs: LiveNeeds
  /** By what ends each: what looks whether it still may be, and whose it is once that is known. */
  readonly #open = new Map<AbortController, Open>()

  constructor(needs: LiveNeeds) {
    this.#needs = needs
  }

  /** Answers until the page goes away, or `who` may no longer. Faults: `dashboard.too_many_streams`, `.bad_ask`, `.no_daemon`, those of `who`. */
  async answer(all: readonly Ask[], who: () => Promise<Person>, response: ServerResponse): Promise<void> {
    const { clock, log } = this.#needs
    if (this.#open.size >= maxStreams) throw fault.too_many_streams({ most: maxStreams })
    const ended = new AbortController()
    const { signal } = ended
    const over = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    const first = who()
    const check = (): void =>
      void Promise.all([first, who()])
        .then(([was, is]) => (was.name === is.name && was.level === is.level ? undefined : ended.abort()))
        .catch(() => ended.abort())
    const entry: Open = { check }
    this.#open.set(ended, entry)
    response.once('close', () => ended.abort())
    try {
      const person = await first
      const own = [...this.#open.values()].filter(({ whose }) => whose === person.name)
      if (own.length >= maxStreamsOfOne) throw fault.too_many_streams({ most: maxStreamsOfOne })
      entry.whose = person.name
      await Promise.all(all.map((ask) => this.#operation(ask, person)))
      if (response.destroyed) return
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
      response.write('retry: 2000\n\n')
      const beat = (): void => {
        if (signal.aborted) return
        check()
        if (!response.writableNeedDrain) response.write(':\n\n')
        clock.after(beatMs, beat)
      }
      clock.after(beatMs, beat)
      const following = all.map((ask, at) => this.#follow(ask, at, person, response, signal))
      await Promise.race([over, Promise.all(following)]).catch((error: unknown) => log.error('dashboard.live', { error }))
      response.end()
    } finally {
      this.#open.delete(ended)
      ended.abort()
    }
  }

  /** Somebody may no longer be who they were: their pages hear nothing more. */
  recheck(): void {
    for (const { check } of this.#open.values()) check()
  }

  close(): void {
    for (const ended of this.#open.keys()) ended.abort()
  }

  async #operation({ daemon, operation, input }: Ask, person: Person) {
    const { api, handlers } = await this.#needs.daemons.named(daemon)
    const found = Object.hasOwn(api, operation) ? api[operation]! : undefined
    if (!found) throw fault.bad_ask({ problem: `${daemon} has no operation ${operation}` })
    if (!isLook(found)) throw fault.bad_ask({ problem: `${operation} changes something` })
    checkLevel(person, { operation, privilege: found.privilege })
    const given = found.input.safeParse(input)
    if (!given.success) throw fault.bad_ask({ problem: given.error.issues[0]?.message ?? 'unreadable' })
    return { call: handlers[operation]!, input: given.data, isStream: found.stream !== undefined }
  }

  async #follow(ask: Ask, at: number, person: Person, response: ServerResponse, signal: AbortSignal): Promise<void> {
    let last = ''
    const say = async (told: Told): Promise<void> => {
      const text = JSON.stringify(told)
      if (text === last || signal.aborted) return
      if (text.length > maxEventBytes) throw fault.bad_ask({ problem: `${ask.operation} answers more than ${maxEventBytes} bytes` })
      last = 'item' in told ? '' : text
      if (!response.write(`data: ${text}\n\n`)) await drained(response, signal)
    }
    const caller = { name: person.name, via: 'dashboard' as const }
    while (!signal.aborted) {
      try {
        const { call, input, isStream } = await this.#operation(ask, person)
        const saying = { say: (item: unknown) => say({ ask: at, item }) }
        const value = await call(input, { caller, signal, ...saying })
        if (!isStream) await say({ ask: at, value })
      } catch (error) {
        if (signal.aborted) return
        await say({ ask: at, fault: asFault(error).toJSON() })
      }
      await this.#needs.clock.wait(ask.everyMs, signal).catch(() => {})
    }
  }
}

/** A page that does not read is asked for nothing more until it does. */
function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    response.once('drain', done)
    signal.addEventListener('abort', done, { once: true })
  })
}
