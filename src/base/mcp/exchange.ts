// An exchange is one client message and all that belongs to it: who sent it, its headers, the frames that come back, and one outcome.
import { setMaxListeners } from 'node:events'
import type { Fault } from '../../kernel/fault.ts'
import type { Principal } from '../access/principal.ts'
import type { Frame } from '../wire/frame.ts'
import type { Sink } from '../wire/wire.ts'
import type { Trace } from './trace.ts'

/** `modern`: MCP 2026-07-28 and later, stateless. `legacy`: 2024-11-05 to 2025-11-25, with sessions and `initialize`. */
export type Era = 'legacy' | 'modern'

/** The MCP headers of an HTTP message, lower case: `mcp-protocol-version`, `mcp-method`, `mcp-name`, every `mcp-param-*`; and those of a trace. Empty on a wire. */
export type McpHeaders = Readonly<Record<string, string>>

export const noHeaders: McpHeaders = Object.freeze({})

export type Exchange = {
  readonly frame: Frame
  readonly era: Era
  /** Proved for this message. */
  readonly principal: Principal
  readonly headers: McpHeaders
  /** Of a legacy client after `initialize`: its session's id, and what it said then that it can do. */
  readonly session?: { readonly id: string; readonly capabilities: Readonly<Record<string, unknown>> }
  /** Modern HTTP: aborts when the client goes away, which cancels. Legacy: never aborts; only `notifications/cancelled` cancels. */
  readonly abort: AbortSignal
  /** What it is traced by; absent: by nothing. */
  readonly trace?: Trace
}

/** How an exchange ended. `status` is what HTTP says of it when the answer is one JSON body; 200 when absent. */
export type Outcome =
  /** The result or error frame was written to `out`. */
  | { readonly is: 'answered'; readonly status?: number }
  /** A notification or an answer was taken over. */
  | { readonly is: 'accepted' }
  /** Never forwarded: the reason is the client's to read; `code` is JSON-RPC's, "denied" when absent; `data` goes with it. */
  | { readonly is: 'refused'; readonly reason: string; readonly code?: number; readonly status?: number; readonly data?: unknown }
  /** Never reached the upstream, or was an `initialize` that left nothing there: may be tried again. */
  | { readonly is: 'notSent'; readonly fault: Fault }
  /** May have reached the upstream, and got no answer: an error, and never sent again. */
  | { readonly is: 'unknown'; readonly fault: Fault }
  /** The client cancelled it, or went away in the modern era: nobody waits for an answer. */
  | { readonly is: 'cancelled' }

/** Where the frames of an exchange go. A door that can answer in two ways lets `streaming` say which one the upstream chose. */
export interface Out extends Sink {
  readonly streaming?: {
    /** Frames will come as a stream: begin one now, even before the first. */
    begin(): void
    /** The upstream ended its stream before the answer and wants to be asked for it in `retryMs` (SEP-1699). */
    hangUp(retryMs: number): void
  }
}

/** The same way out, with something done to each frame. */
export function through(out: Out, write: (frame: Frame) => boolean): Out {
  return { write, room: () => out.room(), ...(out.streaming ? { streaming: out.streaming } : {}) }
}

export type Handler = (exchange: Exchange, out: Out) => Promise<Outcome>
export type Layer = (next: Handler) => Handler

export const answered: Outcome = Object.freeze({ is: 'answered' })
export const accepted: Outcome = Object.freeze({ is: 'accepted' })
export const cancelled: Outcome = Object.freeze({ is: 'cancelled' })

/** Never aborts: for exchanges that only `notifications/cancelled` can end. */
export const neverAborted: AbortSignal = new AbortController().signal
setMaxListeners(0, neverAborted) // as many as there are open requests

/**
 * One connection to an upstream MCP server, in the era it speaks. Every frame that belongs to a request goes to that request's `out`;
 * what belongs to none goes to the side sink that the leg was opened with.
 */
export interface Leg {
  readonly era: Era
  /** True when the transport itself says which request a server's message belongs to (HTTP); a pipe does not. */
  readonly tellsApart: boolean
  /**
   * Sends a request; resolves after its answer was written to `out`, or when there will be none. `caller`: on whose behalf, for a leg that keeps something
   * between two requests of several callers.
   */
  request(frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal, caller?: string): Promise<Outcome>
  /** Sends a notification, or the client's answer to a request of the server. */
  send(frame: Frame, headers: McpHeaders): Promise<Outcome>
  /** Asks for frames that belong to no request (the GET stream of HTTP). False: this server offers none. */
  listen(): Promise<boolean>
  /** Resolves when the leg can carry nothing more, with the reason in words. */
  readonly ended: Promise<string>
  /** `keepsSession`: the server's own session (HTTP) is left open, to be gone on with later. */
  close(keepsSession?: boolean): Promise<void>
}
