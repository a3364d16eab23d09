// Several ways to one peer, begun one after another: the first stream that proves counts, and what is still under way is dropped.
import type { Clock } from '../../kernel/clock.ts'
import { type Fault, asFault } from '../../kernel/fault.ts'
import type { PeerStream } from '../../base/peer/host/host.ts'

/** A way that leads somewhere does so within this time, most often; after it the next one is begun beside it. */
const patienceMs = 300

/**
 * Each step begins when the one before it has missed, or has not led anywhere within a moment. Rejects with what the peer itself said, if it was reached and
 * said no, or with what is known of its key, if that speaks no more; else with an AggregateError of every step's fault, in their order.
 */
export async function firstOf(
  steps: readonly ((signal: AbortSignal) => Promise<PeerStream>)[],
  clock: Clock,
  signal?: AbortSignal,
): Promise<PeerStream> {
  const over = new AbortController()
  const inTime = signal ? AbortSignal.any([signal, over.signal]) : over.signal
  let said: Fault | undefined
  let turn: Promise<unknown> = Promise.resolve()
  const tries = steps.map((step) => {
    const attempt = turn.then(() => {
      inTime.throwIfAborted()
      return step(inTime)
    })
    const settled = attempt.then(
      () => over.abort(),
      (error: unknown) => {
        const missed = asFault(error)
        if (over.signal.aborted || !isFinal(missed)) return
        said = missed
        over.abort()
      },
    )
    turn = turn.then(() => Promise.race([settled, clock.wait(patienceMs, over.signal).catch(() => {})]))
    return attempt
  })
  try {
    const winner = await Promise.any(tries)
    for (const each of tries) void each.then((stream) => stream === winner || stream.abort()).catch(() => {})
    return winner
  } catch (error) {
    throw said ?? new AggregateError((error as AggregateError).errors.map(asFault))
  } finally {
    over.abort()
  }
}

/** Whether the fault says that one way did not lead to the peer, so that another one may. */
function isAboutTheWay({ code }: Fault): boolean {
  return code === 'peer.unreachable' || code === 'peer.wrong_identity' || code === 'peer.bad_address'
}

/** Whether it says that the key which was asked for speaks no more. */
export function isAboutTheKey({ code }: Fault): boolean {
  return code === 'reach.peer_rotated' || code === 'reach.peer_revoked'
}

/** Said by the peer itself, or of its key: no other way would lead further. */
function isFinal(found: Fault): boolean {
  return isAboutTheKey(found) || (found.code.startsWith('peer.') && !isAboutTheWay(found))
}
