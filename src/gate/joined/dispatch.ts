// A request at the endpoint for all upstreams: to the one it names, to the one whose URI it is, or, a list, to all of them within a bounded wait.
import type { Clock } from '../../kernel/clock.ts'
import { type Frame, type Span, splice, stringAt } from '../../base/wire/frame.ts'
import { locate } from '../../base/wire/locate.ts'
import { type Era, type McpHeaders, type Out, type Outcome, answered, cancelled, through } from '../../base/mcp/exchange.ts'
import { type Listing, listingOf } from '../../base/mcp/listing.ts'
import { errorFrame, errorOf, idToken } from '../../base/mcp/message.ts'
import { code } from '../../base/mcp/protocol.ts'
import { type Positions, readCursor, withCursor } from './cursor.ts'
import { type Missing, merged } from './merge.ts'
import { type Named, headersNaming, splitName, unprefixing } from './names.ts'
import type { Owners } from './owners.ts'

/** The upstreams as one principal, or one session of it, reaches them: each behind its own layers. */
export interface Reach {
  readonly era: Era
  readonly principal: string
  /** Those that some rule lets the principal use, sorted. */
  names(): readonly string[]
  /** True when a rule lets the principal read this at that upstream. */
  mayRead(upstream: string, uri: string): boolean
  send(upstream: string, frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome>
  /** Records that a request named what nobody may use, and says so. */
  refuse(frame: Frame, reason: string): Promise<Outcome>
  /** An upstream that a list had to go without has answered after all. */
  late(upstream: string, listing: Listing): void
}

export type DispatchNeeds = {
  readonly clock: Clock
  readonly owners: Owners
  /** Lists that upstreams still owe, as `key` has them: who owes one is not waited for again. */
  readonly owed: Set<string>
}

export type DispatchSettings = {
  /** A list waits so long for its upstreams. */
  readonly listWaitMs: number
  readonly maxPageBytes: number
  readonly serverInfo: unknown
}

const byName: ReadonlySet<string> = new Set(['tools/call', 'prompts/get'])
const byUri: ReadonlySet<string> = new Set(['resources/read', 'resources/subscribe', 'resources/unsubscribe'])
/** How a server says that it has no such resource, or none at all. */
const notThere: ReadonlySet<number> = new Set([code.resourceNotFoundLegacy, code.invalidParams, code.methodNotFound])

export class Dispatch {
  readonly #needs: DispatchNeeds
  readonly #settings: DispatchSettings
  readonly #reach: Reach

  constructor(needs: DispatchNeeds, settings: DispatchSettings, reach: Reach) {
    this.#needs = needs
    this.#settings = settings
    this.#reach = reach
  }

  /** Undefined for a method that leads to no upstream. */
  request(frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> | undefined {
    const listing = listingOf(frame)
    if (listing) return this.#list(listing, frame, headers, out, abort)
    const { method = '' } = frame
    if (byName.has(method)) return this.#named(frame, frame.at.name, headers, out, abort)
    if (byUri.has(method)) return this.#owned(stringAt(frame, frame.at.uri), frame, headers, out, abort)
    if (method !== 'completion/complete') return undefined
    const ref = locate(frame.bytes, frame.at.params, 'ref')
    const uri = locate(frame.bytes, ref, 'uri')
    if (uri) return this.#owned(stringAt(frame, uri), frame, headers, out, abort)
    return this.#named(frame, locate(frame.bytes, ref, 'name'), headers, out, abort)
  }

  /** Where a URI may be, the likeliest first. */
  placesOf(uri: string): readonly string[] {
    const { principal } = this.#reach
    const names = this.#reach.names()
    const owner = this.#needs.owners.of(principal, uri)
    if (owner !== undefined && names.includes(owner)) return [owner]
    return names.filter((name) => this.#reach.mayRead(name, uri))
  }

  async #named(frame: Frame, span: Span | undefined, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    const full = stringAt(frame, span)
    const named: Named | undefined = splitName(full)
    if (!span || !named)
      return this.#reach.refuse(
        frame,
        `${JSON.stringify(full ?? null)} names nothing here: names are UPSTREAM__NAME, as the lists show them`,
      )
    const { upstream, name } = named
    if (!this.#reach.names().includes(upstream)) return this.#reach.refuse(frame, `no rule lets ${this.#reach.principal} use ${upstream}`)
    return this.#reach.send(upstream, splice(frame, [unprefixing(frame, span)]), headersNaming(headers, name), out, abort)
  }

  /** A URI that nobody has named yet is asked for in turn: who has it, keeps it; one that does not answer is passed over. */
  async #owned(uri: string | undefined, frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    const { principal } = this.#reach
    const places = uri === undefined ? [] : this.placesOf(uri)
    if (uri === undefined || places.length === 0)
      return this.#reach.refuse(frame, `no rule lets ${principal} use a resource of this URI, at any upstream`)
    const [only] = places
    if (places.length === 1) return this.#reach.send(only!, frame, headers, out, abort)
    let answer: Frame | undefined
    let outcome: Outcome = cancelled
    for (const place of places) {
      answer = undefined
      const holding = through(out, (incoming) => {
        if (incoming.kind !== 'result' && incoming.kind !== 'error') return out.write(incoming)
        answer = incoming
        return true
      })
      outcome = await this.#within(abort, (stop) => this.#reach.send(place, frame, headers, holding, stop))
      const found = answer as Frame | undefined
      if (abort.aborted) return cancelled
      if (found?.kind === 'result') this.#needs.owners.claim(principal, uri, place)
      if (found && (found.kind === 'result' || !notThere.has(errorOf(found).code))) break
    }
    if (answer) out.write(answer)
    return outcome
  }

  /** Gives up after the time that a list has, too. */
  async #within(abort: AbortSignal, send: (stop: AbortSignal) => Promise<Outcome>): Promise<Outcome> {
    const stop = new AbortController()
    const end = (): void => stop.abort()
    abort.addEventListener('abort', end, { once: true })
    const cancel = this.#needs.clock.after(this.#settings.listWaitMs, end)
    try {
      return await send(stop.signal)
    } finally {
      cancel()
      abort.removeEventListener('abort', end)
    }
  }

  async #list(listing: Listing, frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    const cursor = locate(frame.bytes, frame.at.params, 'cursor')
    const given = cursor && readCursor(stringAt(frame, cursor) ?? '')
    if (cursor && !given) {
      out.write(errorFrame(idToken(frame), code.invalidParams, 'Invalid params: this cursor is none of ours'))
      return answered
    }
    const names = this.#reach.names().filter((name) => !given || given.has(name))
    const asked: Positions = new Map(names.map((name) => [name, given?.get(name) ?? null]))
    const answers = new Map<string, Frame>()
    const missing: Missing[] = []
    let isCancelled = false
    await Promise.all(
      names.map(async (name) => {
        const answer = await this.#part(name, listing, withCursor(frame, asked.get(name)!), headers, out, abort)
        if (answer === 'cancelled') isCancelled = true
        else if (typeof answer === 'string') missing.push({ upstream: name, reason: answer })
        else if (answer?.kind === 'result') answers.set(name, answer)
      }),
    )
    if (abort.aborted || isCancelled) return cancelled
    const { owners } = this.#needs
    const { era, principal } = this.#reach
    const { maxPageBytes, serverInfo } = this.#settings
    out.write(
      merged({
        request: frame,
        era,
        listing,
        asked,
        answers: new Map(names.flatMap((name) => (answers.has(name) ? [[name, answers.get(name)!] as const] : []))),
        missing,
        owner: (uri, upstream) => owners.claim(principal, uri, upstream),
        serverInfo,
        maxPageBytes,
      }),
    )
    return answered
  }

  /** One upstream's answer; undefined when it has no such lists; or, in words, why there is none (`cancelled`: nobody waits for it). What is late goes on by itself, and is told of when it comes. */
  async #part(
    upstream: string,
    listing: Listing,
    frame: Frame,
    headers: McpHeaders,
    out: Out,
    abort: AbortSignal,
  ): Promise<Frame | string | undefined> {
    const { clock, owed } = this.#needs
    const key = `${this.#reach.principal}\n${upstream}`
    if (owed.has(key)) return 'it has not answered an earlier list yet'
    let answer: Frame | undefined
    let isLate = false
    const holding = through(out, (incoming) => {
      if (incoming.kind === 'result' || incoming.kind === 'error') answer = incoming
      // Progress of one part says nothing of the whole, and after the answer nobody listens.
      else if (!isLate && incoming.method !== 'notifications/progress') return out.write(incoming)
      return true
    })
    const sending = this.#reach.send(upstream, frame, headers, { write: holding.write, room: holding.room }, abort)
    const wait = new AbortController()
    const late = clock.wait(this.#settings.listWaitMs, wait.signal).then(
      () => undefined,
      () => undefined,
    )
    const outcome = await Promise.race([sending, late])
    wait.abort()
    if (!outcome) {
      isLate = true
      owed.add(key)
      void sending
        .catch(() => {})
        .finally(() => {
          owed.delete(key)
          if (answer?.kind === 'result') this.#reach.late(upstream, listing)
        })
      return `it did not answer within ${this.#settings.listWaitMs} ms`
    }
    if (answer?.kind === 'result') return answer
    if (answer) return errorOf(answer).code === code.methodNotFound ? undefined : errorOf(answer).message
    if (outcome.is === 'cancelled') return 'cancelled'
    if (outcome.is === 'refused') return outcome.reason
    return 'fault' in outcome ? outcome.fault.message : 'it gave no answer'
  }
}
