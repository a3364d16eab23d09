// A wire over something that may die and be opened again (a child process, a tunnel): an MCP client on it never waits in vain, never sees an answer twice,
// and finds the new one initialized as the old one was.
import { type Fault, asFault, outside } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { failed, healthy, rested } from '../../base/supervise/backoff.ts'
import { errorAnswer } from '../../base/wire/bad-line.ts'
import { type Frame, idKey, splice, token } from '../../base/wire/frame.ts'
import type { EventId, Sink, Wire, WireEnd } from '../../base/wire/wire.ts'
import { fault } from '../faults.ts'

export type RenewedWireNeeds = {
  /** Opens the inner wire. A rejection is the answer to the requests that waited for it. */
  readonly open: () => Promise<Wire>
  /** The fault for requests that were open when the inner wire ended. Looked at when it happens, so that it can tell how. */
  readonly lost: (end: WireEnd) => Fault
  readonly clock: Clock
  readonly log: Log
}

export type RenewedWireSettings = {
  /** Requests without an answer, at most; more are refused. 1024 by default. */
  readonly maxOpenRequests?: number
  /** How long a new inner wire may take to answer `initialize`. 30 s by default. */
  readonly initializeTimeoutMs?: number
}

export interface RenewedWire extends Wire {
  /** Settles with the first opening, which begins at once; its fault is also the answer to every request sent until then. */
  readonly opened: Promise<void>
}

/** A pause before the next opening that a request waits out; during a longer one it is answered at once with what went wrong. */
const maxPatienceMs = 1_500
/** Requests that the inner side may have open at the client. */
const maxAsked = 1024
/** Beyond this, whoever writes while nothing is open is asked to wait. */
const enoughWaitingBytes = 64 << 10

class Renewed implements RenewedWire {
  readonly opened: Promise<void>
  readonly ended: Promise<WireEnd>
  readonly #needs: RenewedWireNeeds
  readonly #settings: Required<RenewedWireSettings>
  #end!: (end: WireEnd) => void
  #isOver = false
  #into: Sink | undefined
  #inner: Wire | undefined
  #opening: Promise<void> | undefined
  /** What the client sent while nothing was open. */
  #waiting: Frame[] = []
  #waitingBytes = 0
  /** Requests of the client without an answer: key → id as written. */
  readonly #open = new Map<string, string>()
  /** Requests of the inner side that the client has not answered. */
  readonly #asked = new Set<string>()
  #initialize: Frame | undefined
  #isInitialized = false
  #initialized: Frame | undefined
  #renewal: { readonly key: string; readonly answered: (frame: Frame) => void } | undefined
  #renewals = 0
  #backoff = rested
  #notBefore = 0
  #lastProblem: Fault | undefined
  readonly #closing = new AbortController()

  constructor(needs: RenewedWireNeeds, settings: RenewedWireSettings) {
    this.#needs = needs
    this.#settings = { maxOpenRequests: 1024, initializeTimeoutMs: 30_000, ...settings }
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    this.opened = this.#reopen()
    this.opened.catch(() => {}) // whoever cares awaits it; the requests are answered in any case
  }

  write(frame: Frame): boolean {
    if (this.#isOver) return true
    if (frame.kind === 'request') return this.#request(frame)
    if (frame.kind === 'notification') {
      if (frame.method === 'notifications/initialized') this.#initialized = frame
      if (frame.method === 'notifications/cancelled' && frame.at.requestId) this.#open.delete(idKey(frame, frame.at.requestId))
    } else if (!frame.at.id || !this.#asked.delete(idKey(frame, frame.at.id))) return true // an answer to an inner wire that is gone
    return this.#forward(frame)
  }

  async room(): Promise<void> {
    while (!this.#isOver && this.#opening && this.#waitingBytes >= enoughWaitingBytes) await this.#opening.catch(() => {})
    if (!this.#isOver) await this.#inner?.room()
  }

  read(into: Sink): void {
    this.#into = into
    this.#inner?.read(this.#innerSink(this.#inner))
  }

  async close(): Promise<void> {
    if (!this.#isOver) {
      this.#isOver = true
      this.#closing.abort(new Error('closed'))
      this.#end({ why: 'closed' })
    }
    this.#waiting = []
    this.#open.clear()
    await this.#inner?.close()
    await this.#opening?.catch(() => {})
  }

  #request(frame: Frame): boolean {
    const id = frame.at.id!
    if (this.#open.size >= this.#settings.maxOpenRequests) {
      return this.#answer(token(frame, id), fault.too_many_requests({ limit: this.#settings.maxOpenRequests }))
    }
    if (frame.method === 'initialize') {
      this.#initialize = frame
      this.#isInitialized = false
      this.#initialized = undefined
    }
    this.#open.set(idKey(frame, id), token(frame, id))
    if (!this.#inner && !this.#opening) {
      if (this.#notBefore - this.#needs.clock.mono() > maxPatienceMs) return this.#failOpen(this.#lastProblem!)
      this.#reopen().catch(() => {})
    }
    return this.#forward(frame)
  }

  #forward(frame: Frame): boolean {
    if (this.#opening) {
      this.#waiting.push(frame)
      this.#waitingBytes += frame.bytes.length
      return this.#waitingBytes < enoughWaitingBytes // a little is taken, so that a client that goes away meanwhile is noticed
    }
    return this.#inner ? this.#inner.write(frame) : true // nobody is there to be notified
  }

  #reopen(): Promise<void> {
    this.#opening = this.#openInner().catch((error: unknown) => {
      this.#opening = undefined
      const problem = asFault(error)
      this.#failed(problem)
      this.#waiting = []
      this.#waitingBytes = 0
      this.#failOpen(problem)
      throw problem
    })
    return this.#opening
  }

  async #openInner(): Promise<void> {
    const pauseMs = this.#notBefore - this.#needs.clock.mono()
    if (this.#lastProblem && pauseMs > 0) await this.#needs.clock.wait(pauseMs, this.#closing.signal)
    const inner = await this.#needs.open()
    if (this.#isOver) return inner.close()
    this.#renewal = undefined
    const end = inner.ended.then((end) => this.#lost(inner, end))
    this.#inner = inner
    if (this.#into) inner.read(this.#innerSink(inner))
    if (this.#isInitialized) await this.#initializeAgain(inner, end)
    while (this.#waiting.length > 0 && this.#inner === inner) {
      if (!inner.write(this.#waiting.shift()!)) await inner.room()
    }
    this.#waitingBytes = 0
    if (this.#inner !== inner) throw this.#lastProblem
    this.#opening = undefined // in the same turn as the last look at #waiting, so that nothing is left there
  }

  /** Sends the client's own `initialize` under an id of ours, awaits the answer, and says `initialized` as the client did. */
  async #initializeAgain(inner: Wire, end: Promise<unknown>): Promise<void> {
    const initialize = this.#initialize!
    const id = `"fairlead/renewal-${++this.#renewals}"`
    const answered = new Promise<Frame | undefined>((resolve) => {
      this.#renewal = { key: id, answered: resolve }
      void end.then(() => resolve(undefined))
    })
    const late = new AbortController()
    const timedOut = this.#needs.clock.wait(this.#settings.initializeTimeoutMs, late.signal).catch(() => {})
    inner.write(splice(initialize, [{ span: initialize.at.id!, with: Buffer.from(id) }]))
    const answer = await Promise.race([answered, timedOut])
    late.abort(new Error('answered'))
    this.#renewal = undefined
    if (this.#inner !== inner) return
    if (answer?.kind === 'result') {
      if (this.#initialized) inner.write(this.#initialized)
      return
    }
    const problem = fault.not_initialized({
      problem: answer ? 'it answered with an error' : `no answer within ${this.#settings.initializeTimeoutMs} ms`,
    })
    this.#inner = undefined
    await inner.close()
    throw problem
  }

  #innerSink(inner: Wire): Sink {
    return {
      write: (frame: Frame, event?: EventId): boolean => {
        if (this.#inner !== inner || this.#isOver) return true
        return this.#note(inner, frame) ? this.#into!.write(frame, event) : true
      },
      room: () => this.#into!.room(),
    }
  }

  /** Keeps the books on a frame for the client; false when the client must not see it: an answer to nothing that is open, or to us. */
  #note(inner: Wire, frame: Frame): boolean {
    if (frame.kind === 'notification') {
      if (frame.method === 'notifications/cancelled' && frame.at.requestId) this.#asked.delete(idKey(frame, frame.at.requestId))
      return true
    }
    if (!frame.at.id) return frame.kind === 'error'
    const key = idKey(frame, frame.at.id)
    if (frame.kind === 'request') {
      if (this.#asked.size < maxAsked) return Boolean(this.#asked.add(key))
      inner.write(errorAnswer(token(frame, frame.at.id), -32000, fault.too_many_requests({ limit: maxAsked })))
      return false
    }
    if (this.#renewal?.key === key) {
      this.#renewal.answered(frame)
      return false
    }
    if (key === 'null') return true
    this.#backoff = healthy(this.#backoff, this.#needs.clock.mono())
    if (this.#initialize && frame.kind === 'result' && idKey(this.#initialize, this.#initialize.at.id!) === key) this.#isInitialized = true
    return this.#open.delete(key)
  }

  #lost(inner: Wire, end: WireEnd): void {
    if (this.#inner !== inner) return
    this.#inner = undefined
    if (this.#isOver) return
    const problem = this.#needs.lost(end)
    this.#failed(problem)
    this.#asked.clear()
    if (!this.#opening) this.#failOpen(problem) // else the opening fails with it
    void inner.close()
  }

  #failed(problem: Fault): void {
    if (this.#lastProblem === problem || this.#isOver) return
    this.#lastProblem = problem
    const now = this.#needs.clock.mono()
    const { next, delayMs } = failed(this.#backoff, now)
    this.#backoff = next
    this.#notBefore = now + delayMs
    this.#needs.log.warn('reach.wire.lost', { problem: problem.message, failures: next.failures, delayMs, openRequests: this.#open.size })
  }

  /** Answers every open request with the fault. */
  #failOpen(problem: Fault): boolean {
    let hasRoom = true
    for (const id of this.#open.values()) hasRoom = this.#answer(id, problem)
    this.#open.clear()
    return hasRoom
  }

  #answer(id: string, problem: Fault): boolean {
    return this.#into?.write(errorAnswer(id, outside[problem.kind].rpcCode, problem)) ?? true
  }
}

/** Opens the inner wire at once, and again for the next request after it has ended. Ends only by `close()`. */
export function renewedWire(needs: RenewedWireNeeds, settings: RenewedWireSettings = {}): RenewedWire {
  return new Renewed(needs, settings)
}
