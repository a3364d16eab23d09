// Asks a registry, again and again, what the peers that we authorize or talk to say of their keys, so that a revocation counts within seconds of its publication.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { PeerHost } from '../../base/peer/host/host.ts'
import { type KnownRegistries, type Server, serverText } from '../registry/known-registries.ts'
import type { KnownStatements } from './known-statements.ts'
import { type RegistryClient, connectRegistry } from '../registry/client.ts'
import { maxAsked } from '../registry/protocol.ts'

/** Between two questions. A revocation counts within this and a moment, where the registry answers. */
const askEveryMs = 3_000
const againMs = 200
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
  let next = 0

  const ask = async (): Promise<void> => {
    const all = peers()
    for (let question = 0; question < maxQuestions && all.length > 0; question++) {
      if (next >= all.length) next = 0
      client ??= await connectRegistry({ host, clock, known }, server, stop.signal)
      const told = await client.statements(all.slice(next, next + maxAsked))
      if (statements.add(told)) {
        log.info('reach.statements', { registry: serverText(server), peers: told.map(({ peerId, says }) => ({ peerId, says })) })
        onNews?.()
      }
      next += maxAsked
      if (next >= all.length) return
    }
  }
  const run = async (): Promise<void> => {
    let failures = 0
    while (!stop.signal.aborted) {
      try {
        await ask()
        failures = 0
      } catch (error) {
        void client?.close()
        client = undefined
        if (++failures === 2) log.warn('reach.statements_not_asked', { registry: serverText(server), problem: asFault(error).message })
      }
      // one failure is no news: another user of the same connection may have ended it
      await clock.wait(failures === 1 ? againMs : askEveryMs, stop.signal).catch(() => {})
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
