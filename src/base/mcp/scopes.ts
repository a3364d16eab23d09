// What a door needs from whoever stands behind it: one handler for stateless messages, and sessions for the legacy era.
import type { Principal } from '../access/principal.ts'
import type { Frame } from '../wire/frame.ts'
import type { Sink } from '../wire/wire.ts'
import type { Exchange, Handler, Out, Outcome } from './exchange.ts'

/** A legacy session: bound to one principal and one endpoint, from `initialize` to DELETE, expiry, or 404. */
export interface Session {
  /** Visible ASCII, at least 128 random bits. */
  readonly id: string
  readonly handle: Handler
  /** Asks for frames that belong to no request. False: the server offers none. */
  listen(): Promise<boolean>
  close(reason: string): Promise<void>
}

export type Opened = { readonly session: Session | undefined; readonly outcome: Outcome }

/** One endpoint: all that a door can reach under one path. */
export interface Endpoint {
  readonly name: string
  /** The modern era: stateless. */
  readonly handle: Handler
  /** Opens a session with the client's own `initialize`; its answer goes to `out`. `side` takes what belongs to no request, for as long as the session lives. */
  open(exchange: Exchange, out: Out, side: Sink): Promise<Opened>
  /** The session of this id and principal, restored if need be; undefined: the client must initialize anew. */
  find(id: string, principal: Principal, side: () => Sink): Promise<Session | undefined>
}

/** A sink into nothing. */
export const nowhere: Sink = { write: (_frame: Frame) => true, room: () => Promise.resolve() }
