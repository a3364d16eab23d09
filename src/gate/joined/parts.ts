// What the endpoint for all upstreams needs of the gate: a port, so that it knows nothing of layers and sessions.
import type { Principal } from '../../base/access/principal.ts'
import type { Exchange, Out, Outcome } from '../../base/mcp/exchange.ts'
import type { Opened } from '../../base/mcp/scopes.ts'
import type { Sink } from '../../base/wire/wire.ts'

/** The upstreams as they are now, each behind its own layers: there is no other way to them. */
export interface Parts {
  /** Those that some rule lets the principal use, sorted. */
  names(principal: Principal): readonly string[]
  mayRead(principal: Principal, upstream: string, uri: string): boolean
  handle(upstream: string, exchange: Exchange, out: Out): Promise<Outcome>
  /** A session at one upstream that is a part of another one. */
  open(upstream: string, exchange: Exchange, out: Out, side: Sink): Promise<Opened>
  /** Records that a request named what nobody may use, and says so. */
  refuse(exchange: Exchange, reason: string): Promise<Outcome>
}
