// What is asked of a NATS cluster in bounded time: an answer, or a fault that says why there is none.
import { JetStreamApiError } from '@nats-io/jetstream'
import { RequestError, TimeoutError } from '@nats-io/transport-node'
import { type Clock, deadline } from '../../kernel/clock.ts'
import { Fault, reasonOf } from '../../kernel/fault.ts'
import { fault } from './faults.ts'
import { type Nats, before } from './nats.ts'

/** How long a server may take to answer. */
export const answerMs = 2_000
/** How long a question waits for a connection, and as long again for a leader: one that was killed has a successor in 4 to 9 s. */
const patienceMs = 5_000
const pauseMs = 100
const maxTries = 4

/** JetStream system temporarily unavailable. */
const notAvailable = 10_008

/** True when it is certain that no server took the question. */
function nobodyTook(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return error.code === notAvailable
  const cause = error instanceof Error ? (error.cause ?? error) : error
  return cause instanceof RequestError && cause.isNoResponders()
}

/** As `kv.unavailable`, with the reason in words; a fault, and what the cluster says no to, stay as they are. */
export function unavailable(error: unknown): Error {
  if (error instanceof Fault) return error
  if (nobodyTook(error)) return fault.unavailable({ reason: 'the cluster has no leader: is a majority of its servers there?' }, error)
  if (error instanceof TimeoutError) {
    return fault.unavailable({ reason: `no answer within ${answerMs} ms: is a majority of the cluster's servers there?` }, error)
  }
  return fault.unavailable({ reason: reasonOf(error) }, error)
}

/** Asks once there is a connection. What the cluster answers with a reason (`JetStreamApiError`) is thrown as it is, all else as `kv.unavailable`. */
export async function askOnce<Result>(nats: Nats, question: () => Promise<Result>): Promise<Result> {
  await nats.connected(patienceMs)
  try {
    return await before(nats.lost, question())
  } catch (error) {
    throw error instanceof JetStreamApiError && !nobodyTook(error) ? error : unavailable(error)
  }
}

/** Asks, and again for a while for as long as it is certain that nobody took the question: then nothing can happen twice. Throws as `askOnce`. */
export async function ask<Result>(nats: Nats, clock: Clock, question: () => Promise<Result>): Promise<Result> {
  let late: AbortSignal | undefined
  for (;;) {
    try {
      return await askOnce(nats, question)
    } catch (error) {
      late ??= deadline(clock, patienceMs)
      if (!(error instanceof Fault) || !nobodyTook(error.cause) || late.aborted) throw error
      await clock.wait(pauseMs)
    }
  }
}

/**
 * As `ask`, for what may be asked twice without harm: a stream that was just made has no leader for a while, the longer the more machines begin at once.
 * So it is asked a few times when no answer comes.
 */
export async function askAgain<Result>(nats: Nats, clock: Clock, question: () => Promise<Result>, tries = 1): Promise<Result> {
  try {
    return await ask(nats, clock, question)
  } catch (error) {
    if (!(error instanceof Fault) || !(error.cause instanceof TimeoutError) || tries === maxTries) throw error
    return askAgain(nats, clock, question, tries + 1)
  }
}
