// The wire door: an MCP client on a pipe, a socket or a tunnel; exchanges are told apart by id, the first message decides the era.
import { Fault } from '../../../kernel/fault.ts'
import type { Principal } from '../../access/principal.ts'
import { type Frame, idKey } from '../../wire/frame.ts'
import type { Wire } from '../../wire/wire.ts'
import { isInitialize } from '../legacy.ts'
import { classify } from '../modern.ts'
import { type Exchange, type Out, type Outcome, neverAborted, noHeaders, through } from '../exchange.ts'
import { errorFrame, idToken, problemFrame } from '../message.ts'
import { code } from '../protocol.ts'
import type { Endpoint, Session } from '../scopes.ts'

const maxOpen = 1_024

class WireDoor {
  readonly #wire: Wire
  readonly #endpoint: Endpoint
  readonly #principal: Principal
  readonly #failed: (error: unknown) => void
  readonly #open = new Map<string, AbortController>()
  #session: Session | undefined
  #opening: Promise<unknown> | undefined

  constructor(wire: Wire, endpoint: Endpoint, principal: Principal, failed: (error: unknown) => void) {
    this.#wire = wire
    this.#endpoint = endpoint
    this.#principal = principal
    this.#failed = failed
    wire.read({ write: (frame) => this.#take(frame), room: () => this.#wire.room() })
    wire.ended.then(() => this.#finish()).catch(failed)
  }

  #take(frame: Frame): boolean {
    this.#handle(frame).catch(this.#failed)
    return true
  }

  async #handle(frame: Frame): Promise<void> {
    const classified = classify(frame, noHeaders, false)
    if (classified.era === 'refused') {
      const { refusal } = classified
      if (frame.kind === 'request') this.#wire.write(errorFrame(idToken(frame), refusal.code, refusal.message, refusal.data))
      return
    }
    if (frame.kind !== 'request') return this.#forward(frame, classified.era)
    if (this.#open.size >= maxOpen) {
      this.#wire.write(errorFrame(idToken(frame), code.serverError, `more than ${maxOpen} requests are open`))
      return
    }
    const key = idKey(frame, frame.at.id!)
    if (this.#open.has(key)) {
      this.#wire.write(errorFrame(idToken(frame), code.invalidRequest, `the id ${key} is in use by an open request`))
      return
    }
    const abort = new AbortController()
    this.#open.set(key, abort)
    const out = answeredOnce(this.#wire)
    try {
      const exchange: Exchange = {
        frame,
        era: classified.era,
        principal: this.#principal,
        headers: noHeaders,
        abort: classified.era === 'modern' ? abort.signal : neverAborted,
      }
      const problem = problemFrame(frame, await this.#request(exchange, out))
      if (problem) out.write(problem)
    } catch (error) {
      const message = error instanceof Fault ? error.message : 'Internal error'
      out.write(errorFrame(idToken(frame), code.internalError, message))
      this.#failed(error)
    } finally {
      this.#open.delete(key)
    }
  }

  async #request(exchange: Exchange, out: Out): Promise<Outcome> {
    if (exchange.era === 'modern') return this.#endpoint.handle(exchange, out)
    if (isInitialize(exchange.frame)) {
      const opening = this.#begin(exchange, out)
      this.#opening = opening
      const outcome = await opening
      await this.#session?.listen()
      return outcome
    }
    await this.#opening
    if (!this.#session) return { is: 'refused', reason: 'initialize first' }
    return this.#session.handle(exchange, out)
  }

  async #begin(exchange: Exchange, out: Out): Promise<Outcome> {
    const opening = this.#endpoint.open(exchange, out, this.#wire)
    opening.catch(() => {}) // awaited below, whatever becomes of the earlier session
    await this.#session?.close('the client began anew').catch(this.#failed)
    const { session, outcome } = await opening
    this.#session = session
    return outcome
  }

  async #forward(frame: Frame, era: 'legacy' | 'modern'): Promise<void> {
    const exchange: Exchange = { frame, era, principal: this.#principal, headers: noHeaders, abort: neverAborted }
    if (era === 'modern' || !this.#session) {
      const open = frame.method === 'notifications/cancelled' && frame.at.requestId && this.#open.get(idKey(frame, frame.at.requestId))
      if (open) return open.abort()
      if (era === 'modern') return void (await this.#endpoint.handle(exchange, this.#wire))
    }
    await this.#opening
    await this.#session?.handle(exchange, this.#wire)
  }

  async #finish(): Promise<void> {
    for (const abort of this.#open.values()) abort.abort()
    await this.#opening?.catch(() => {})
    await this.#session?.close('its connection ended')
  }
}

/** The way out of one request: what would be its second answer is dropped, since its id may be another request's by then. */
function answeredOnce(wire: Wire): Out {
  let isAnswered = false
  return through(wire, (frame) => {
    if (frame.kind !== 'result' && frame.kind !== 'error') return wire.write(frame)
    if (isAnswered) return true
    isAnswered = true
    return wire.write(frame)
  })
}

/** Serves the client at the other end of the wire until it ends. `failed` is told what was thrown behind the door; a request is answered in any case. */
export function serveWire(wire: Wire, endpoint: Endpoint, principal: Principal, failed: (error: unknown) => void = () => {}): void {
  new WireDoor(wire, endpoint, principal, failed)
}
