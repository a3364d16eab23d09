// Asks a registry, again and again, what the peers that we authorize or talk to say of their keys, so that a revocation counts within seconds of its publication.
import type { Clock } from '../kernel/clock.ts'
import { asFault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { PeerHost } from '../base/peer/host.ts'
import { type KnownRegistries, type Server, serverText } from './known-registries.ts'
import type { KnownStatements } from './known-statements.ts'
import { type RegistryClient, connectRegistry } from './registry-client.ts'
import { maxAsked } from './registry-protocol.ts'

/** Between two questions. A revocation counts within this and a moment, where the registry answers. */
const askEveryMs = 3_000
/** Questions at once: of more than 512 peers some have to wait for the next time. */
const maxQuestions = 4

export type StatementWatchNeeds = {
  readonly host: Pick<PeerHost, 'dial'>
  readonly clock: Clock
  readonly log: Log
  readonly known: KnownRegistries
  readonly statements: KnownStatements
}

export type StatementWatchSettings = {
  readonly server: Server
  /** Of whom we want to know. */
  readonly peers: () => readonly string[]
  /** Called when something new is known. */
  readonly onNews?: () => void
}

/** Begins at once and never fails: a registry that does not answer is asked again, and what was known before goes on to count. Ends by `close()`. */
export function watchStatements(
  { host, clock, log, known, statements }: StatementWatchNeeds,
  settings: StatementWatchSettings,
): { close(): Promise<void> } {
  const { server, peers, onNews } = settings
  const stop = new AbortController()
  let client: RegistryClient | undefined
  let first = 0

  const ask = async (): Promise<void> => {
    const all = peers()
    if (all.length === 0) return
    client ??= await connectRegistry({ host, clock, known }, server, stop.signal)
    for (let question = 0; question < maxQuestions; question++) {
      const some = all.slice(first, first + maxAsked)
      first += maxAsked
      const told = some.length > 0 ? await client.statements(some) : []
      if (statements.add(told)) {
        log.info('reach.statements', { registry: serverText(server), peers: told.map(({ peerId, says }) => ({ peerId, says })) })
        onNews?.()
      }
      if (first >= all.length) break
    }
    if (first >= all.length) first = 0
  }
  const run = async (): Promise<void> => {
    let isLost = false
    while (!stop.signal.aborted) {
      try {
        await ask()
        isLost = false
      } catch (error) {
        await client?.close()
        client = undefined
        if (!isLost && !stop.signal.aborted)
          log.warn('reach.statements_not_asked', { registry: serverText(server), problem: asFault(error).message })
        isLost = true
      }
      await clock.wait(askEveryMs, stop.signal).catch(() => {})
    }
    await client?.close()
  }
  const running = run()
  return {
    close() {
      stop.abort(new Error('closed'))
      return running
    },
  }
}
