// The operations of recovery as the node serves them: one at a time for each service.
import type { Clock } from '../../kernel/clock.ts'
import type { Handlers } from '../../base/control/api.ts'
import { makeFolder, statOf } from '../../kernel/file.ts'
import { join } from 'node:path'
import { labels, oursIn, placeText } from '../container.ts'
import { fault } from '../faults.ts'
import type { AsOwners } from '../files/as-owners.ts'
import { dataFolder } from '../files/data-folder.ts'
import { Places } from '../node/places.ts'
import type { RunNode } from '../node/node.ts'
import type { recoveryApi } from './api.ts'
import { type BackupPlaces, type KeepBackups, backUpService, backupNames, backupShown, dropBackups, readBackup } from './backups.ts'
import { recoverAll } from './recover.ts'
import { putBackData } from './works.ts'

/** What the node does by itself, its daily copies too, is soon done. */
const patienceMs = 15_000

/** `asOwners`: where files may be of users inside containers. */
export type RecoveryNeeds = { readonly clock: Clock; readonly node: RunNode; readonly asOwners?: AsOwners | undefined }

export interface Recovery {
  readonly handlers: Handlers<typeof recoveryApi>
  /** Backs up by itself. Faults: those of `backUpService`, `run.busy`. */
  backUp(service: string): Promise<void>
}

export function recovery({ clock, node, asOwners }: RecoveryNeeds, places: BackupPlaces, keep: KeepBackups): Recovery {
  const { known, registry, runtime } = node
  const busy = new Places(clock)
  const alone = <Result>(service: string, doing: string, work: () => Promise<Result>): Promise<Result> =>
    busy.alone([service], doing, work, patienceMs)
  const take = async (service: string, onBytes?: (done: number, of: number) => void) => {
    const backup = backupShown(
      await backUpService({ clock, asOwners }, places, { service, node: node.name, ...(onBytes ? { onBytes } : {}) }),
    )
    registry.note({ service }, 'backed-up', `${backup.path} (${backup.files} files, ${backup.sizeBytes} bytes)`)
    return backup
  }
  const backUp = (service: string, onBytes?: (done: number, of: number) => void) =>
    alone(service, 'backup', async () => {
      const backup = await take(service, onBytes)
      dropBackups({ clock }, places, service, keep)
      return backup
    })
  const runningOf = async (service: string) =>
    (await runtime.list({ [labels.service]: service })).filter(
      (one) => one.state === 'running' && !one.isStale && oursIn(one) !== undefined,
    )

  const restored = async (
    service: string,
    name: string | undefined,
    discard: boolean,
    say: (step: string, text: string, done?: number, of?: number) => void,
  ) => {
    const backup = readBackup(places, service, name)
    const from = backupShown(backup)
    const folder = dataFolder(places, service)
    const isThere = statOf(folder) !== undefined
    const isKept = !discard && isThere
    if (isKept) say('backup', 'what is there now')
    const keptAs = isKept ? (await take(service)).name : null
    makeFolder(folder, 0o750)
    let doneBytes = 0
    const { otherOwners } = await putBackData(asOwners, { ...backup, from: join(backup.path, 'files'), folder }, (sizeBytes) =>
      say('restore', backup.name, (doneBytes += sizeBytes), from.sizeBytes),
    )
    registry.note({ service }, 'restored', `${backup.name}${keptAs === null ? '' : `; what was there is ${keptAs}`}`)
    return { from, keptAs, otherOwners }
  }
  return {
    backUp: async (service) => void (await backUp(service)),
    handlers: {
      'list-backups': async ({ service }) => backupNames(places, service).map((name) => backupShown(readBackup(places, service, name))),
      async 'backup-service'({ service }, { say }) {
        await known.one(service)
        return backUp(service, (doneBytes, ofBytes) => {
          // who went away hears no more of it, and the work goes on
          void say({ component: service, step: 'backup', text: 'copy', doneBytes, ofBytes }).catch(() => {})
        })
      },
      'restore-service': ({ service, name, stop, discard }, { say }) =>
        alone(service, 'restore', async () => {
          const definition = (await known.one(service).catch(() => undefined))?.service // on a new machine it may not be known yet
          const all = (definition?.components ?? []).map((one) => placeText({ service, component: one.name }))
          return node.places.alone(
            all,
            'restore',
            async () => {
              const tell = (step: string, text: string, doneBytes?: number, ofBytes?: number): void =>
                void say({ component: service, step, text, ...(doneBytes === undefined ? {} : { doneBytes, ofBytes }) }).catch(() => {})
              readBackup(places, service, name) // before anything is stopped
              const running = await runningOf(service)
              if (running.length > 0 && !stop) throw fault.still_runs({ service, containers: running.map((one) => one.name) })
              const stopMs = new Map(definition?.components.map((one) => [one.name, one.stop_within]))
              for (const one of running.toReversed()) {
                tell('stop', one.name)
                await runtime.stop(one.id, stopMs.get(oursIn(one)!.place.component) ?? 10_000)
              }
              try {
                return { ...(await restored(service, name, discard, tell)), stopped: running.map((one) => one.name) }
              } finally {
                for (const one of running) await runtime.start(one.id)
                dropBackups({ clock }, places, service, keep)
                node.monitor.hint()
              }
            },
            patienceMs,
          )
        }),
      async recover(_input, { say }) {
        const { done, running } = await recoverAll(
          node,
          (component, text) => void say({ component, step: 'recover', text }).catch(() => {}),
        )
        return { isSimulated: runtime.isSimulated, done, running }
      },
    },
  }
}
