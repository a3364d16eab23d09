// All doors of a gate together: for peers, for clients of this machine, and by HTTP; and how they change hands while it runs.
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { KeySet } from '../base/access/key-set.ts'
import type { Directory } from '../base/access/principal.ts'
import type { Connectors } from './connector/connectors.ts'
import type { GateEndpoint } from './endpoint.ts'
import type { Changeable, GateSettings } from './settings.ts'
import { type HttpDoorsNeeds, openHttpDoors } from './http-doors.ts'
import { localSocket, openLocalDoor } from './local-door.ts'
import { openPeerDoor } from './peer-door.ts'
import { type Place, Places, type Prepared } from './places.ts'

export type EntrancesNeeds = Omit<HttpDoorsNeeds, 'connectors'> & {
  readonly clock: Clock
  readonly log: Log
  readonly directory: Directory
  readonly endpoints: ReadonlyMap<string, GateEndpoint>
  readonly connectors: Connectors
}

export type Entrances = AsyncDisposable & {
  /** Empty when there is no HTTP. */
  readonly url: string
  /** Of those whose signed tokens are taken now. */
  readonly keySets: readonly KeySet[]
  /** Opens what a changed configuration has besides; `take` lets nobody stay who would not be let in as the same principal now. Faults: those of a start. */
  prepare(settings: Changeable): Promise<Prepared>
  /** A connector's credential has ended: who listens with it hears nothing more. */
  recheck(): void
}

/** Faults: those of `openPeerDoor`, `openLocalDoor` and `openHttpDoors`. */
export async function openEntrances(needs: EntrancesNeeds, settings: GateSettings): Promise<Entrances> {
  const { clock, log, ledger, directory, endpoints, all, health, connectors } = needs
  const { folder, limits, drainMs } = settings
  await using stack = new AsyncDisposableStack()
  const refused = (): void => health.metrics.refused('peers', 'unauthenticated')
  const peers =
    settings.peers && stack.use(await openPeerDoor({ clock, log, ledger, directory, endpoints, refused }, settings.peers, limits))
  const endpoint = (name: string | undefined) => (name === undefined ? all : endpoints.get(name))
  const local = stack.use(
    new Places((place, who) => openLocalDoor({ clock, log, endpoint, who }, place, limits), { via: 'door', drainMs, flushMs: 0 }),
  )
  const first = await local.prepare(localPlaces(folder, settings.local))
  first.take()
  const everybody = { ...directory, byTokenHash: (hash: string) => directory.byTokenHash(hash) ?? connectors.byTokenHash(hash) }
  const http = settings.isLocalOnly ? undefined : stack.use(await openHttpDoors({ ...needs, directory: everybody }, settings))
  const rest = stack.move()
  return {
    url: http?.url ?? '',
    get keySets() {
      return http?.keySets ?? []
    },
    recheck: () => http?.recheck(),
    async prepare(next) {
      const prepared: Prepared[] = []
      const undo = async (): Promise<void> => {
        await Promise.all(prepared.map((one) => one.undo()))
      }
      try {
        prepared.push(await local.prepare(localPlaces(folder, next.local)))
        if (http) prepared.push(await http.prepare(next))
      } catch (error) {
        await undo()
        throw error
      }
      return {
        take() {
          for (const { take } of prepared) take()
          peers?.recheck()
        },
        undo,
      }
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

function localPlaces(folder: string, principal: string | undefined): readonly Place[] {
  return principal === undefined ? [] : [{ path: localSocket(folder), principal, mode: 0o600 }]
}
