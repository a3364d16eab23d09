// What is known of a key when something depends on it, a message say: the registry is asked about a key that nobody asked about for some seconds, so that a
// revocation counts soon after its publication, for peers too that nobody watches.
import { type Clock, deadline } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { orAborted } from '../../base/peer/dial.ts'
import type { PeerHost } from '../../base/peer/host/host.ts'
import { connectRegistry } from '../registry/client.ts'
import { type KnownRegistries, type Server, serverText } from '../registry/known-registries.ts'
import { maxAsked } from '../registry/protocol.ts'
import { rateLimit } from '../../base/access/rate.ts'
import type { KnownStatements } from './known-statements.ts'
import type { Statement } from './statement.ts'

/** So long an answer holds, and so long a registry that gave none is left alone: with the wait for an answer, less than the 10 s in which a revocation has to count. */
const freshMs = 5_000
const answerMs = 1_500
/** There may be a question before ours. */
const patienceMs = 2_000
const maxRemembered = 4_096
/** Of what the registry lets one peer ask, half: the host has other questions, too. */
const questions = { burst: 30, perSecond: 1 }

export type FreshStatementsNeeds = {
  readonly host: Pick<PeerHost, 'dial'>
  readonly clock: Clock
  readonly log: Log
  readonly known: KnownRegistries
  /** Where the answers are noted. */
  readonly statements: KnownStatements
}

export interface FreshStatements {
  /**
   * Resolves when what the registry knows of these keys (128 at most) is known here, as of the last 5 s; at the latest after 2 s, with what was known before, if it does not
   * answer. Never rejects.
   */
  about(peers: readonly string[]): Promise<void>
  close(): Promise<void>
}

type Batch = { readonly peers: Set<string>; answered: Promise<void> }

/** Asks the registry that `server` names then; none: nobody is asked. Who needs an answer at the same time shares the question. */
export function freshStatements(
  { host, clock, log, known, statements }: FreshStatementsNeeds,
  server: () => Server | undefined,
): FreshStatements {
  const stop = new AbortController()
  const askedAt = new Map<string, number>()
  const rate = rateLimit(clock, questions)
  let last: Promise<void> = Promise.resolve()
  let open: Batch | undefined
  let quietUntil = -Infinity

  const answerOf = async (at: Server, peers: readonly string[], inTime: AbortSignal): Promise<readonly Statement[]> => {
    const client = await connectRegistry({ host, clock, known }, at, inTime)
    try {
      return await orAborted(client.statements(peers), inTime, () => inTime.reason as Error)
    } finally {
      void client.close()
    }
  }
  const put = async (at: Server, peers: readonly string[]): Promise<void> => {
    try {
      await clock.wait(rate.take(''), stop.signal)
      const inTime = deadline(clock, answerMs, stop.signal)
      // one failure is no news: another user of the same connection may have ended it
      const told = await answerOf(at, peers, inTime).catch(() => answerOf(at, peers, inTime))
      if (statements.add(told))
        log.info('reach.statements', { registry: serverText(at), peers: told.map(({ peerId, says }) => ({ peerId, says })) })
    } catch (error) {
      quietUntil = clock.mono() + freshMs
      if (!stop.signal.aborted) log.info('reach.statements_not_asked', { registry: serverText(at), problem: asFault(error).message })
    }
    for (const peer of peers) {
      askedAt.delete(peer)
      askedAt.set(peer, clock.mono())
    }
    while (askedAt.size > maxRemembered) askedAt.delete(askedAt.keys().next().value!)
  }
  /** Those who come while another question is on its way make up the next one. */
  const ask = (at: Server, peers: readonly string[]): Promise<void> => {
    if (!open || open.peers.size + peers.length > maxAsked) {
      const batch: Batch = { peers: new Set(), answered: Promise.resolve() }
      batch.answered = last.then(() => {
        if (open === batch) open = undefined
        return put(at, [...batch.peers])
      })
      open = batch
      last = batch.answered
    }
    for (const peer of peers) open.peers.add(peer)
    return open.answered
  }
  return {
    async about(peers) {
      const isOld = (peer: string): boolean => clock.mono() - (askedAt.get(peer) ?? -Infinity) >= freshMs
      const old = peers.slice(0, maxAsked).filter(isOld)
      const at = old.length === 0 || stop.signal.aborted || clock.mono() < quietUntil ? undefined : server()
      if (!at) return
      await new Promise<void>((resolve) => {
        const cancel = clock.after(patienceMs, resolve)
        void ask(at, old).then(() => {
          cancel()
          resolve()
        })
      })
    },
    async close() {
      stop.abort(new Error('closed'))
      await last
    },
  }
}
