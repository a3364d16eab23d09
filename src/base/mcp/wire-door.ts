// The wire door: an MCP client on a pipe, a socket or a tunnel; exchanges are told apart by id, the first message decides the era.
import { Fault } from '../../kernel/fault.ts'
import type { Principal } from '../access/principal.ts'
import { type Frame, idKey } from '../wire/frame.ts'
import type { Sink, Wire } from '../wire/wire.ts'
import { isInitialize } from './legacy.ts'
import { classify } from './modern.ts'
import { type Exchange, type Outcome, neverAborted, noHeaders } from './exchange.ts'
import { errorFrame, idToken, problemFrame } from './message.ts'
import { code } from './protocol.ts'
import type { Endpoint, Session } from './scopes.ts'

const maxOpen = 1_024

class WireDoor {
  readonly #wire: Wire
  readonly #endpoint: Endpoint
  readonly #principal: Principal
  readonly #open = new Map<string, AbortController>()
  #session: Session | undefined
  #opening: Promise<unknown> | undefined

  constructor(wire: Wire, endpoint: Endpoint, principal: Principal) {
    this.#wire = wire
    this.#endpoint = endpoint
    this.#principal = principal
    wire.read({ write: (frame) => this.#take(frame), room: () => this.#wire.room() })
    void wire.ended.then(() => this.#finish())
  }

  #take(frame: Frame): boolean {
    void this.#handle(frame)
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
    try {
      const outcome = await this.#request({
        frame,
        era: classified.era,
        principal: this.#principal,
        headers: noHeaders,
        abort: classified.era === 'modern' ? abort.signal : neverAborted,
      })
      const problem = problemFrame(frame, outcome)
      if (problem) this.#wire.write(problem)
    } catch (error) {
      const message = error instanceof Fault ? error.message : 'Internal error'
      this.#wire.write(errorFrame(idToken(frame), code.internalError, message))
    } finally {
      this.#open.delete(key)
    }
  }

  async #request(exchange: Exchange): Promise<Outcome> {
    const out: Sink = this.#wire
    if (exchange.era === 'modern') return this.#endpoint.handle(exchange, out)
    if (isInitialize(exchange.frame)) {
      const opening = this.#endpoint.open(exchange, out, this.#wire)
      this.#opening = opening
      await this.#session?.close('the client began anew')
      const { session, outcome } = await opening
      this.#session = session
      await session?.listen()
      return outcome
    }
    await this.#opening
    if (!this.#session) return { is: 'refused', reason: 'initialize first' }
    return this.#session.handle(exchange, out)
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

/** Serves the client at the other end of the wire until it ends. */
export function serveWire(wire: Wire, endpoint: Endpoint, principal: Principal): void {
  new WireDoor(wire, endpoint, principal)
}
