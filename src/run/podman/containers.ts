// The containers as they are: podman's list, each process of it looked at, and the rest asked only where something changed.
import { readFileSync } from 'node:fs'
import type { Clock } from '../../kernel/clock.ts'
import { type Container, type Labels, hasLabels } from '../runtime.ts'
import { type PodmanClient, part, refused } from './client.ts'
import { type Inspected, type Listed, decodeInspected, decodeList } from './decode.ts'
import { type Stat, isConmon, processes, statOfProcess } from './processes.ts'
import { imageLabel } from './spec.ts'

/** How long podman may take to take note of an end before its record counts as stale. */
const patience = { tries: 25, pauseMs: 20 } as const
const inspectionsAtOnce = 4

type Needs = { readonly client: PodmanClient; readonly clock: Clock }

export interface Containers {
  /** Faults: `run.runtime_unavailable`, `run.runtime_refused`. */
  list(labels?: Labels): Promise<readonly Container[]>
  /** Undefined when there is none of that id or name. Faults as `list`. */
  inspect(id: string): Promise<Inspected | undefined>
  /** Its first process, if that lives and is really its own, whatever podman believes. Faults as `list`. */
  processOf(id: string): Promise<(Stat & { readonly pid: number }) | undefined>
  /** Whether podman believes that it runs, and nobody is left to tell it otherwise. Faults as `list`. */
  isStale(id: string): Promise<boolean>
}

/** `exits`: the folder in which conmon leaves a file with the exit code for each container that ended. */
export function podmanContainers({ client, clock }: Needs, exits: () => string): Containers {
  const { isAlive, keepOnly } = processes({ clock })
  /** What an inspection told, for as long as the list tells the same life of the container. */
  const known = new Map<string, { readonly mark: string; readonly inspected: Inspected }>()

  const inspect = async (id: string): Promise<Inspected | undefined> => {
    const doing = `inspect ${id}`
    const { status, body, refusal } = await client.call({ method: 'GET', path: `containers/${part(id)}/json`, doing })
    if (status === 404) return undefined
    if (refusal) throw refused(doing, refusal.message)
    return decodeInspected(body, doing)
  }

  const details = async (listed: Listed): Promise<Inspected | undefined> => {
    const mark = [listed.state, listed.pid, listed.startedAt].join(' ')
    const before = known.get(listed.id)
    if (before?.mark === mark && !before.inspected.hasHealthCheck) return before.inspected
    const inspected = await inspect(listed.id)
    if (inspected) known.set(listed.id, { mark, inspected })
    else known.delete(listed.id)
    return inspected
  }

  /** Podman says that it runs, and its process is gone. Either podman will know in a moment, or never. */
  const ended = async (listed: Listed): Promise<Pick<Container, 'state' | 'exitCode' | 'isStale'> | 'gone' | 'again'> => {
    for (let tries = 0; tries < patience.tries; tries++) {
      const exitCode = exitCodeIn(`${exits()}/${listed.id}`)
      if (exitCode !== undefined) return { state: 'exited', exitCode }
      const now = await inspect(listed.id)
      if (!now) return 'gone'
      if (now.pid !== listed.pid || now.state !== listed.state) return 'again'
      if (!isConmon(now.conmonPid, listed.id)) return { state: 'exited', isStale: true }
      await clock.wait(patience.pauseMs)
    }
    return { state: 'exited' }
  }

  const seen = async (listed: Listed): Promise<Container | undefined> => {
    const inspected = await details(listed)
    if (!inspected) return undefined
    const common = { id: listed.id, name: listed.name, restarts: inspected.restarts, ...labelled(listed, inspected) }
    const startedAt = inspected.startedAt > 0 ? { startedAt: inspected.startedAt } : {}
    const { state, pid } = inspected
    if (!isUp(state)) {
      if (!wasUp(state)) return { ...common, state: 'created' }
      return { ...common, state: 'exited', exitCode: inspected.exitCode, ...startedAt }
    }
    if (isAlive(listed.id, pid, inspected.startedAt)) return { ...common, state: 'running', pid, ...startedAt, ...healthOf(inspected) }
    const end = await ended({ ...listed, pid, state })
    if (end === 'gone') return undefined
    if (end !== 'again') return { ...common, ...end, ...startedAt }
    known.delete(listed.id)
    const now = await inspect(listed.id)
    if (!now) return undefined
    const isRunning = isUp(now.state) && isAlive(listed.id, now.pid, now.startedAt)
    const again = { ...common, restarts: now.restarts, startedAt: now.startedAt }
    return isRunning ? { ...again, state: 'running', pid: now.pid } : { ...again, state: 'exited', exitCode: now.exitCode }
  }

  const forgetAllBut = (ids: ReadonlySet<string>): void => {
    keepOnly(ids)
    for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
  }

  return {
    inspect,
    async processOf(id) {
      const inspected = await inspect(id)
      if (!inspected || !isUp(inspected.state) || !isAlive(id, inspected.pid, inspected.startedAt)) return undefined
      const stat = statOfProcess(inspected.pid)
      return stat && { pid: inspected.pid, ...stat }
    },
    async isStale(id) {
      const inspected = await inspect(id)
      if (!inspected || !isUp(inspected.state)) return false
      return !isAlive(id, inspected.pid, inspected.startedAt) && !isConmon(inspected.conmonPid, id)
    },
    async list(labels) {
      const doing = 'list containers'
      const query = {
        all: true,
        ...(labels ? { filters: JSON.stringify({ label: Object.entries(labels).map((pair) => pair.join('=')) }) } : {}),
      }
      const body = await client.mustDo({ method: 'GET', path: 'containers/json', query, doing, timeoutMs: 15_000 })
      const listed = decodeList(body, doing)
      if (!labels) forgetAllBut(new Set(listed.map(({ id }) => id)))
      const found = await inTurns(
        labels ? listed.filter((one) => hasLabels(one, labels)) : listed, // podman may read a pattern where we mean a text
        seen,
      )
      return found.filter((container) => container !== undefined)
    },
  }
}

/** What conmon left there, if it did. */
function exitCodeIn(path: string): number | undefined {
  try {
    const text = readFileSync(path, 'latin1').trim()
    return /^\d{1,3}$/.test(text) ? Number(text) : undefined
  } catch {
    return undefined
  }
}

const isUp = (state: string): boolean => state === 'running' || state === 'paused' || state === 'stopping'
const wasUp = (state: string): boolean => state !== 'created' && state !== 'configured' && state !== 'initialized'

function labelled({ labels }: Listed, { image, imageName, imageDigest }: Inspected): Pick<Container, 'labels' | 'image'> {
  const { [imageLabel]: ours, ...rest } = labels
  const [, digest, reference] = /^(sha256:[0-9a-f]{64}) (.+)$/.exec(ours ?? '') ?? []
  if (digest !== undefined && reference !== undefined) return { labels: rest, image: { digest, reference } }
  return { labels: rest, image: { reference: imageName, digest: imageDigest === '' ? `sha256:${image}` : imageDigest } }
}

function healthOf({ hasHealthCheck, health }: Inspected): Pick<Container, 'health'> {
  if (!hasHealthCheck) return {}
  return { health: health === 'healthy' || health === 'unhealthy' ? health : 'starting' }
}

/** In order, a few at a time. */
async function inTurns<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<readonly Result[]> {
  const results = Array<Result>(items.length)
  let next = 0
  const lane = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at]!)
  }
  await Promise.all(Array.from({ length: inspectionsAtOnce }, lane))
  return results
}
