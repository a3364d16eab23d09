// Has a ledger witnessed by itself, again and again: now and then, and when much was added. What was done last lies beside the ledger, so that a restart, or another
// process that does the same, asks for nothing twice.
import type { Clock } from '../../kernel/clock.ts'
import { statOf } from '../../kernel/file.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Identity } from '../../base/identity/identity.ts'
import { type LedgerPlace, checkpointLedger } from '../../base/ledger/checkpointing.ts'
import { namesOf } from '../../base/ledger/segments.ts'
import { sightingsOf } from '../../base/ledger/sightings.ts'
import type { PeerStream } from '../../base/peer/host/host.ts'
import { haveWitnessed } from './client.ts'

/** How often is enough. */
export type WitnessingRules = {
  /** An hour by default. */
  readonly everyMs?: number
  /** Entries that were signed since: 100 by default. */
  readonly afterEntries?: number
}

export type WitnessKeeperNeeds = {
  readonly identity: Identity
  readonly clock: Clock
  readonly log: Log
  /** A stream of `witnessProtocol` to the witness. */
  readonly dial: (signal: AbortSignal) => Promise<PeerStream>
}

export type WitnessKeeperSettings = WitnessingRules & {
  readonly place: LedgerPlace
  /** The whole id of the witness. */
  readonly witness: string
  /** How often it is looked whether much was added: 10 s by default. */
  readonly lookEveryMs?: number
}

export interface WitnessKeeper {
  close(): Promise<void>
}

const firstRetryMs = 30_000

/** Begins at once and never fails: a witness that does not answer, or says no, is logged and asked again, ever less often. */
export function keepWitnessed({ identity, clock, log, dial }: WitnessKeeperNeeds, settings: WitnessKeeperSettings): WitnessKeeper {
  const { place, witness, everyMs = 3_600_000, afterEntries = 100, lookEveryMs = 10_000 } = settings
  const { peerId } = identity
  const stop = new AbortController()
  const lastSeen = () => {
    const { signed, seen } = sightingsOf(place, peerId)
    return { signed, last: seen.find(({ by }) => by === witness) }
  }
  /** Another text whenever something was added. */
  const mark = (): string => {
    const stat = statOf(namesOf(place.folder, place.file ?? 'ledger.jsonl').active)
    return stat ? [stat.ino, stat.size].join(' ') : ''
  }
  /** Whether there was something to witness. */
  const attempt = async (): Promise<boolean> => {
    const made = await checkpointLedger({ identity, log }, place, stop.signal)
    if (!made || made.checkpoint.size === lastSeen().last?.size) return false
    const { size } = await haveWitnessed({ clock, dial: () => dial(stop.signal) }, made, stop.signal)
    log.info('reach.witnessed', { ledger: place.origin, by: witness, size })
    return true
  }
  const run = async (): Promise<void> => {
    const { last } = lastSeen()
    const sinceMs = last ? Math.abs(clock.now() - last.at) : Infinity
    let dueAt = clock.mono() + Math.max(0, everyMs - sinceMs)
    let notBefore = -Infinity
    /** The ledger as it was when there was nothing to witness: as soon as it is another, there is. */
    let idle: string | undefined
    let retryMs = Math.min(firstRetryMs, everyMs)
    while (!stop.signal.aborted) {
      const { signed, last } = lastSeen()
      const isMuch = signed - (last?.size ?? 0) >= afterEntries
      const now = mark()
      if (now !== idle && clock.mono() >= notBefore && (isMuch || clock.mono() >= dueAt)) {
        try {
          if (await attempt()) dueAt = clock.mono() + everyMs
          else idle = now
          retryMs = Math.min(firstRetryMs, everyMs)
        } catch (error) {
          if (stop.signal.aborted) return
          const { code, message, hint } = asFault(error)
          const isOthersTurn = code === 'store.locked' // somebody signs it just now
          if (!isOthersTurn) log.warn('reach.not_witnessed', { ledger: place.origin, by: witness, code, message, hint, retryMs })
          notBefore = clock.mono() + (isOthersTurn ? 0 : retryMs)
          if (!isOthersTurn) retryMs = Math.min(2 * retryMs, everyMs)
        }
      }
      await clock.wait(Math.min(lookEveryMs, everyMs), stop.signal).catch(() => {})
    }
  }
  const running = run().catch((error: unknown) => log.error('reach.not_witnessed', { ledger: place.origin, by: witness, error }))
  return {
    close() {
      stop.abort(new Error('closed'))
      return running
    },
  }
}
