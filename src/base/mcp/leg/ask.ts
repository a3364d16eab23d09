// Requests of our own to a server: initialize it, or ask it one thing.
import { randomFraction } from '../../../kernel/random.ts'
import type { Frame } from '../../wire/frame.ts'
import { scan } from '../../wire/scan.ts'
import type { Sink } from '../../wire/wire.ts'
import { type Leg, type McpHeaders, neverAborted, noHeaders } from '../exchange.ts'
import { errorOf, resultOf } from '../message.ts'

/** What we say when we initialize a legacy server ourselves. */
export type InitializeParams = {
  readonly protocolVersion: string
  readonly capabilities: Record<string, unknown>
  readonly clientInfo: unknown
}

export const ownClientInfo = { name: 'fairlead', version: '1' }

const leastOwnId = 2 ** 30

/**
 * An id for a request of our own: a whole number of 31 bits, because there are servers that leave a request with any other id unanswered, and large, because a client that
 * shares the connection counts from 0.
 */
export function ownId(): number {
  return leastOwnId + Math.floor(randomFraction() * leastOwnId)
}

/** Opens a legacy server: `initialize`, its result, `notifications/initialized`. Throws `UpstreamRefusal` when the server answers with an error. */
export async function initialize(leg: Leg, params: InitializeParams): Promise<Record<string, unknown>> {
  const result = await askFor(leg, 'initialize', params)
  await leg.send(scan(Buffer.from('{"jsonrpc":"2.0","method":"notifications/initialized"}')), noHeaders)
  return result
}

/** The server answered a request of ours with an error. */
export class UpstreamRefusal extends Error {
  readonly error: { readonly code: number; readonly message: string; readonly data?: unknown }

  constructor(method: string, error: { code: number; message: string; data?: unknown }) {
    super(`the server refused ${method}: ${error.message} (${error.code})`)
    this.error = error
  }
}

/** The result of one request of our own. Throws `UpstreamRefusal`, or the fault of an exchange that was not answered. */
export async function askFor(
  leg: Leg,
  method: string,
  params: Record<string, unknown>,
  headers: McpHeaders = noHeaders,
): Promise<Record<string, unknown>> {
  const answer = await ask(leg, method, params, headers)
  const result = resultOf(answer)
  if (!result) throw new UpstreamRefusal(method, errorOf(answer))
  return result
}

/** One request of our own, with its answer. Throws the fault of an exchange that was not answered. */
export function ask(leg: Leg, method: string, params: Record<string, unknown>, headers: McpHeaders = noHeaders): Promise<Frame> {
  return askFrame(leg, scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: ownId(), method, params }))), headers)
}

/** Sends a request frame as it stands and resolves with its answer; what comes before the answer is dropped. */
export async function askFrame(leg: Leg, frame: Frame, headers: McpHeaders = noHeaders): Promise<Frame> {
  let answer: Frame | undefined
  const out: Sink = {
    write(incoming) {
      if (incoming.kind === 'result' || incoming.kind === 'error') answer = incoming
      return true
    },
    room: () => Promise.resolve(),
  }
  const outcome = await leg.request(frame, headers, out, neverAborted)
  if (answer) return answer
  throw 'fault' in outcome ? outcome.fault : new Error(`${frame.method} was not answered (${outcome.is})`)
}
