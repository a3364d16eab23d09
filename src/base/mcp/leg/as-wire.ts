// A leg as a wire: for who carries frames and knows of no exchanges. Every request is answered, if need be with an error; it ends only by `close()`.
import { reasonOf } from '../../../kernel/fault.ts'
import type { Log } from '../../../kernel/log.ts'
import { badLineAnswer, insteadOfAnswer } from '../../wire/bad-line.ts'
import type { ByteBudget } from '../../wire/budget.ts'
import { type Frame, idKey, stringAt } from '../../wire/frame.ts'
import { locate } from '../../wire/locate.ts'
import { fault as wireFault } from '../../wire/walk.ts'
import type { Sink, Wire, WireEnd } from '../../wire/wire.ts'
import { type Era, type Leg, type McpHeaders, type Out, type Outcome, noHeaders } from '../exchange.ts'
import { isInitialize } from '../legacy.ts'
import { errorFrame, idToken, problemFrame } from '../message.ts'
import { classify, standardHeaders } from '../modern.ts'
import { ParamHeaders } from '../param-headers.ts'
import { meta, modernVersion } from '../protocol.ts'
import { askFor, askFrame, ownClientInfo } from './ask.ts'
import { beforeSending, outcomeOf } from './before-sending.ts'
import { fault, idInUse } from './wire.ts'

export type LegWireNeeds = {
  /** Of the server, for people. */
  readonly name: string
  /** Opens a leg of this era; for the legacy one `initialize` is what the client said. `side` takes what belongs to no request. */
  readonly open: (era: Era, side: Sink, initialize: Frame | undefined) => Promise<Leg>
  readonly log: Log
  /** Requests on their way and answers that wait for their reader count; one that there is no room for becomes an error. */
  readonly budget: ByteBudget
}

/** Requests without an answer; more are refused. */
const maxOpen = 1_024
/** Frames that wait for a reader who takes none; who leaves so many is not heard until it reads again. */
const maxBehind = 1_024

class LegWire implements Wire {
  readonly ended: Promise<WireEnd>
  readonly #needs: LegWireNeeds
  readonly #legs: Partial<Record<Era, Promise<Leg>>> = {}
  readonly #open = new Map<string, AbortController>()
  #end!: (end: WireEnd) => void
  #isOver = false
  #initialize: Frame | undefined
  #initialized: Frame | undefined
  /** What the server chose when it was initialized. */
  #version: string | undefined
  #renewing: Promise<void> | undefined
  #into: Sink | undefined
  /** What our reader has no room for. */
  #behind: Frame[] = []
  #isBlocked = false
  #caughtUp = Promise.withResolvers<void>()
  /** Notifications and answers leave in the order in which they came. */
  #sending: Promise<unknown> = Promise.resolve()
  readonly #paramHeaders: ParamHeaders

  constructor(needs: LegWireNeeds) {
    this.#needs = needs
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    this.#paramHeaders = new ParamHeaders(async (cursor) => {
      const _meta = { [meta.protocolVersion]: modernVersion, [meta.clientCapabilities]: {}, [meta.clientInfo]: ownClientInfo }
      const params = { _meta, ...(cursor === undefined ? {} : { cursor }) }
      const headers = { 'mcp-protocol-version': modernVersion, 'mcp-method': 'tools/list' }
      return askFor(await this.#leg('modern'), 'tools/list', params, headers)
    })
  }

  write(frame: Frame): boolean {
    if (this.#isOver) return true
    const classified = classify(frame, noHeaders, false)
    if (classified.era === 'refused') {
      const { refusal } = classified
      if (frame.kind === 'request') this.#deliver(errorFrame(idToken(frame), refusal.code, refusal.message, refusal.data))
      return true
    }
    const { era } = classified
    const { budget } = this.#needs
    const sizeBytes = frame.bytes.length
    if (!budget.take(sizeBytes)) return this.#noRoom(frame)
    const gone = (): void => budget.give(sizeBytes)
    if (frame.kind === 'request') void this.#request(frame, era).finally(gone)
    else void (this.#sending = this.#sending.then(() => this.#send(frame, era)).finally(gone))
    return this.#behind.length < maxBehind
  }

  /** A slow server is no reason to wait: an answer of the client may be what it waits for. */
  async room(): Promise<void> {
    while (!this.#isOver && this.#behind.length >= maxBehind) await this.#caughtUp.promise
  }

  read(into: Sink): void {
    this.#into = into
    void this.#catchUp()
  }

  async close(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    this.#end({ why: 'closed' })
    for (const frame of this.#behind.splice(0)) this.#needs.budget.give(frame.bytes.length)
    this.#caughtUp.resolve()
    for (const abort of this.#open.values()) abort.abort()
    await Promise.all(Object.values(this.#legs).map((leg) => leg.then((opened) => opened.close()).catch(() => {})))
  }

  #noRoom(frame: Frame): boolean {
    const { maxBytes } = this.#needs.budget
    if (frame.kind === 'request') return this.#deliver(badLineAnswer(wireFault.no_room({ maxBytes, id: idToken(frame) })))
    this.#needs.log.warn('mcp.wire.no_room', { upstream: this.#needs.name, kind: frame.kind })
    return true
  }

  async #request(frame: Frame, era: Era): Promise<void> {
    const key = idKey(frame, frame.at.id!)
    const { name: upstream, log } = this.#needs
    const refusal: Outcome | undefined = this.#open.has(key)
      ? idInUse(key)
      : this.#open.size >= maxOpen
        ? { is: 'notSent', fault: fault.overloaded({ upstream, maxOpen }) }
        : undefined
    if (refusal) return void this.#deliver(problemFrame(frame, refusal)!)
    const abort = new AbortController()
    this.#open.set(key, abort)
    let isAnswered = false
    const out: Out = {
      write: (incoming) => {
        const isAnswer = incoming.kind === 'result' || incoming.kind === 'error'
        if (isAnswer && isAnswered) return true
        isAnswered ||= isAnswer
        return this.#deliver(incoming)
      },
      room: () => this.#into?.room() ?? Promise.resolve(),
    }
    try {
      const outcome = await this.#exchange(frame, era, out, abort.signal)
      const problem = problemFrame(frame, outcome)
      if (problem) out.write(problem)
    } catch (error) {
      log.warn('mcp.wire.failed', { upstream, method: frame.method, reason: reasonOf(error) })
      const outcome = outcomeOf(error)
      const isBug = 'fault' in outcome && outcome.fault.kind === 'bug'
      out.write(problemFrame(frame, isBug ? { ...outcome, fault: fault.lost({ upstream, reason: reasonOf(error) }, error) } : outcome)!)
    } finally {
      this.#open.delete(key)
    }
  }

  async #exchange(frame: Frame, era: Era, out: Out, abort: AbortSignal): Promise<Outcome> {
    if (isInitialize(frame)) return this.#begin(frame, out, abort)
    await this.#renewing
    if (era === 'legacy' && this.#initialize && !this.#legs.legacy) await beforeSending(this.#renewed()) // its connection ended meanwhile
    const leg = await this.#leg(era)
    const outcome = await leg.request(frame, await this.#headers(leg, frame, era), out, abort)
    if (outcome.is !== 'notSent' || outcome.fault.code !== 'upstream.gone') return outcome
    // It ended, or forgot our session, before it got the request: it is opened again as the client knows it, and asked once more.
    if (era === 'legacy') await beforeSending(this.#renewed())
    const again = await this.#leg(era)
    return again.request(frame, await this.#headers(again, frame, era), out, abort)
  }

  async #begin(frame: Frame, out: Out, abort: AbortSignal): Promise<Outcome> {
    const earlier = this.#legs.legacy
    this.#initialize = frame
    this.#initialized = undefined
    this.#version = undefined
    delete this.#legs.legacy
    void earlier?.then((leg) => leg.close()).catch(() => {})
    const noting = (incoming: Frame): boolean => {
      this.#note(incoming)
      return out.write(incoming)
    }
    return (await this.#leg('legacy')).request(frame, noHeaders, { write: noting, room: () => out.room() }, abort)
  }

  #renewed(): Promise<void> {
    return (this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined)))
  }

  /** Opens the legacy server again with the client's own words. */
  async #renew(): Promise<void> {
    const initialize = this.#initialize
    if (!initialize) return
    const leg = await this.#needs.open('legacy', this.#side(), initialize)
    try {
      const answer = await askFrame(leg, initialize)
      if (answer.kind === 'error') throw fault.gone({ upstream: this.#needs.name, reason: 'it refuses to be initialized again' })
      this.#note(answer)
      if (this.#initialized) await leg.send(this.#initialized, await this.#headers(leg, this.#initialized, 'legacy'))
      await leg.listen()
    } catch (error) {
      await leg.close()
      throw error
    }
    const earlier = this.#legs.legacy
    void this.#keep('legacy', Promise.resolve(leg))
    void earlier?.then((old) => old.close()).catch(() => {})
  }

  #note(answer: Frame): void {
    const version = answer.kind === 'result' ? stringAt(answer, locate(answer.bytes, answer.at.result, 'protocolVersion')) : undefined
    if (version !== undefined) this.#version = version
  }

  async #send(frame: Frame, era: Era): Promise<void> {
    try {
      if (frame.method === 'notifications/cancelled' && frame.at.requestId && era === 'modern')
        return this.#open.get(idKey(frame, frame.at.requestId))?.abort()
      if (!this.#legs[era]) return // nobody is there to be told
      const leg = await this.#leg(era)
      await leg.send(frame, await this.#headers(leg, frame, era))
      if (frame.method !== 'notifications/initialized') return
      this.#initialized = frame
      await leg.listen()
    } catch (error) {
      this.#needs.log.warn('mcp.wire.failed', { upstream: this.#needs.name, method: frame.method, reason: reasonOf(error) })
    }
  }

  /** What HTTP wants to be told beside the message; a pipe carries none. */
  async #headers(leg: Leg, frame: Frame, era: Era): Promise<McpHeaders> {
    if (!leg.tellsApart) return noHeaders
    if (era === 'legacy') return this.#version === undefined ? noHeaders : { 'mcp-protocol-version': this.#version }
    return { ...standardHeaders(frame), ...(await this.#paramHeaders.of(frame)) }
  }

  #leg(era: Era): Promise<Leg> {
    const present = this.#legs[era]
    if (present) return present
    return this.#keep(era, beforeSending(this.#needs.open(era, this.#side(), this.#initialize)))
  }

  /** Until it ends, or did not open. */
  #keep(era: Era, opening: Promise<Leg>): Promise<Leg> {
    this.#legs[era] = opening
    const forget = (): void => {
      if (this.#legs[era] === opening) delete this.#legs[era]
    }
    opening.then((leg) => (this.#isOver ? leg.close() : leg.ended.then(forget)), forget)
    return opening
  }

  #side(): Sink {
    return { write: (frame) => this.#deliver(frame), room: () => this.#into?.room() ?? Promise.resolve() }
  }

  #deliver(frame: Frame): boolean {
    if (this.#isOver) return true
    if (!this.#isBlocked && this.#into && this.#behind.length === 0) {
      if (this.#into.write(frame)) return true
      void this.#catchUp()
      return false
    }
    const { budget } = this.#needs
    const isAnswer = frame.kind === 'result' || frame.kind === 'error'
    if (!isAnswer && this.#behind.length >= maxBehind) return false // of what nobody reads, the newest is dropped
    const isTaken = budget.take(frame.bytes.length)
    if (!isTaken && !isAnswer) return false
    const kept = isTaken ? frame : insteadOfAnswer(wireFault.no_room({ maxBytes: budget.maxBytes, answers: idToken(frame) }))!
    if (!isTaken) budget.hold(kept.bytes.length)
    this.#behind.push(kept)
    return false
  }

  async #catchUp(): Promise<void> {
    if (this.#isBlocked || !this.#into) return
    this.#isBlocked = true
    await this.#into.room()
    for (let frame = this.#behind.shift(); frame; frame = this.#behind.shift()) {
      this.#needs.budget.give(frame.bytes.length)
      if (!this.#into.write(frame)) await this.#into.room()
    }
    this.#isBlocked = false
    this.#caughtUp.resolve()
    this.#caughtUp = Promise.withResolvers()
  }
}

/** A wire whose requests go through legs that `open` makes, one for each era that the client speaks. */
export function legWire(needs: LegWireNeeds): Wire {
  return new LegWire(needs)
}
