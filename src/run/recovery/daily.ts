// What the agent copies by itself, each day or as often as is set: its database, and the data of every service. When it was done last is told by the names of the copies, so a restart changes nothing.
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import { statOf } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import type { RunNode } from '../node/node.ts'
import { type BackupPlaces, backupNames, timeOf } from './backups.ts'
import type { Recovery } from './operations.ts'

export type DailyNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly node: Pick<RunNode, 'known' | 'registry'>
  readonly recovery: Pick<Recovery, 'backUp'>
  /** Names of the copies of the database, newest first; and how one is made. */
  readonly snapshots: () => readonly string[]
  readonly snapshot: () => Promise<unknown>
}

/** After a start there is other work first. */
const firstLookMs = 10_000
const lookEveryMs = 600_000
/** Nothing is copied twice, and what failed is not tried again, within so long. */
const againMs = 3_600_000

/** Until disposed of. Nothing that fails ends it: it is noted as an event, and tried again. */
export function copyDaily(
  { clock, log, node, recovery, snapshots, snapshot }: DailyNeeds,
  places: BackupPlaces,
  everyMs: number,
): AsyncDisposable {
  const stop = new AbortController()
  const notBefore = new Map<string, number>()
  const copy = async (what: string, newest: string | undefined, make: () => Promise<unknown>): Promise<void> => {
    if (stop.signal.aborted || clock.mono() < (notBefore.get(what) ?? 0)) return
    if (newest !== undefined && Math.abs(clock.now() - timeOf(newest)) < everyMs) return // a clock that was set back makes none at each look
    notBefore.set(what, clock.mono() + Math.min(againMs, everyMs))
    try {
      await make()
    } catch (error) {
      const { message } = asFault(error)
      node.registry.note(what === '' ? {} : { service: what }, 'backup-failed', message)
      log.warn('run.backup_failed', { service: what, reason: message })
    }
  }
  const look = async (): Promise<void> => {
    await copy('', snapshots()[0], snapshot)
    for (const { service } of await node.known.all()) {
      if (!statOf(join(places.services, service.name))) continue
      await copy(service.name, backupNames(places, service.name)[0], () => recovery.backUp(service.name))
    }
  }
  const over = (async () => {
    for (let pauseMs = firstLookMs; ; pauseMs = lookEveryMs) {
      await clock.wait(pauseMs, stop.signal)
      await look().catch((error: unknown) => log.error('run.daily_defect', { error }))
    }
  })().catch(() => {}) // it was stopped
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await over
    },
  }
}
