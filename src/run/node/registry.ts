// What the node knows: definitions as they were given, what was deployed when, and what happened. One SQLite file, `mcp.db`; all of it can be made again by `mcp sync`.
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { type Store, openStore } from '../../base/store/store.ts'
import type { Place } from '../container.ts'
import type { ResolvedImage } from '../runtime.ts'

const migrations = [
  `CREATE TABLE services (name TEXT PRIMARY KEY, text TEXT NOT NULL, updated_at INTEGER NOT NULL) STRICT;
   CREATE TABLE current (
     service TEXT NOT NULL, component TEXT NOT NULL, reference TEXT NOT NULL, digest TEXT NOT NULL, deployment TEXT NOT NULL,
     PRIMARY KEY (service, component)) STRICT;
   CREATE TABLE deployments (
     id TEXT PRIMARY KEY, service TEXT NOT NULL, component TEXT NOT NULL, reference TEXT NOT NULL, digest TEXT NOT NULL, at INTEGER NOT NULL,
     outcome TEXT NOT NULL, reason TEXT, last_lines TEXT NOT NULL DEFAULT '[]') STRICT;
   CREATE INDEX deployments_by_place ON deployments (service, component, at);
   CREATE TABLE events (
     id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, service TEXT, component TEXT, event TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
   CREATE INDEX events_by_place ON events (service, component, event, time);
   CREATE INDEX events_by_time ON events (time)`,
] as const

export type Registered = { readonly name: string; readonly text: string; readonly updatedAt: number }
export type Current = ResolvedImage & { readonly deployment: string }
/** The digest that each component was last deployed by, and the deployments that went back. */
export type Deployed = { readonly digests: Readonly<Record<string, string>>; readonly discarded: ReadonlySet<string> }
export type Outcome = 'underway' | 'deployed' | 'rolled-back' | 'failed'
export type Deployment = {
  readonly id: string
  readonly service: string
  readonly component: string
  readonly image: ResolvedImage
  readonly at: number
  readonly outcome: Outcome
  readonly reason: string | null
  readonly lastLines: readonly string[]
}
export type NodeEvent = {
  readonly id: number
  readonly time: number
  readonly service: string | null
  readonly component: string | null
  readonly event: string
  readonly detail: string
}

/** Kept of each component, newest first: more are nobody's way back. */
const keptDeployments = 100
const maxDetail = 2_000
const maxListeners = 256

type DeploymentRow = Omit<Deployment, 'image' | 'lastLines'> & {
  readonly reference: string
  readonly digest: string
  readonly last_lines: string
}

export class Registry implements Disposable {
  readonly #store: Store
  readonly #clock: Clock
  readonly #listeners = new Set<(event: NodeEvent) => void>()
  /** Called when another container of a place counts. */
  onCurrent: () => void = () => {}

  /** Opens the file, or begins a fresh one; a damaged one is set aside, loudly. Faults: `store.*`. */
  constructor({ clock, log }: { readonly clock: Clock; readonly log: Log }, path: string) {
    this.#clock = clock
    this.#store = openStore({ path, migrations, log, clock })
    if (this.#store.setAside !== undefined)
      this.note({}, 'registry-lost', `the damaged registry went to ${this.#store.setAside}: mcp sync brings back what it knew`)
  }

  services(): readonly Registered[] {
    return this.#store.all<Registered>('SELECT name, text, updated_at AS updatedAt FROM services ORDER BY name')
  }

  service(name: string): Registered | undefined {
    return this.#store.get<Registered>('SELECT name, text, updated_at AS updatedAt FROM services WHERE name = ?', name)
  }

  /** All of them as one step. */
  setServices(services: readonly { readonly name: string; readonly text: string }[]): void {
    const now = this.#clock.now()
    this.#store.transaction(() => {
      for (const { name, text } of services)
        this.#store.run(
          'INSERT INTO services (name, text, updated_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text, updated_at = excluded.updated_at',
          name,
          text,
          now,
        )
    })
  }

  removeService(name: string): void {
    this.#store.transaction(() => {
      this.#store.run('DELETE FROM services WHERE name = ?', name)
      this.#store.run('DELETE FROM current WHERE service = ?', name)
    })
  }

  /** How every service was deployed, or the one that is named; none that never was. Two questions for all of them: it is asked with every look. */
  deployed(service?: string): ReadonlyMap<string, Deployed> {
    const found = new Map<string, { readonly digests: Record<string, string>; readonly discarded: Set<string> }>()
    const of = (name: string) => {
      const known = found.get(name) ?? { digests: {}, discarded: new Set<string>() }
      found.set(name, known)
      return known
    }
    const currents = this.#store.all<{ service: string; component: string; digest: string }>(
      'SELECT service, component, digest FROM current WHERE ?1 IS NULL OR service = ?1',
      service ?? null,
    )
    for (const row of currents) of(row.service).digests[row.component] = row.digest
    const discarded = this.#store.all<{ service: string; id: string }>(
      `SELECT service, id FROM deployments WHERE outcome IN ('rolled-back', 'failed') AND (?1 IS NULL OR service = ?1)`,
      service ?? null,
    )
    for (const row of discarded) of(row.service).discarded.add(row.id)
    return found
  }

  current({ service, component }: Place): Current | undefined {
    return this.#store.get<Current>(
      'SELECT reference, digest, deployment FROM current WHERE service = ? AND component = ?',
      service,
      component,
    )
  }

  /** Undefined: it was never deployed. */
  setCurrent({ service, component }: Place, current: Current | undefined): void {
    if (!current) this.#store.run('DELETE FROM current WHERE service = ? AND component = ?', service, component)
    else
      this.#store.run(
        'INSERT OR REPLACE INTO current (service, component, reference, digest, deployment) VALUES (?, ?, ?, ?, ?)',
        service,
        component,
        current.reference,
        current.digest,
        current.deployment,
      )
    this.onCurrent()
  }

  beginDeployment(id: string, { service, component }: Place, { reference, digest }: ResolvedImage): void {
    this.#store.run(
      `INSERT OR IGNORE INTO deployments (id, service, component, reference, digest, at, outcome) VALUES (?, ?, ?, ?, ?, ?, 'underway')`,
      id,
      service,
      component,
      reference,
      digest,
      this.#clock.now(),
    )
    this.#store.run(
      'DELETE FROM deployments WHERE service = ?1 AND component = ?2 AND id NOT IN (SELECT id FROM deployments WHERE service = ?1 AND component = ?2 ORDER BY at DESC, rowid DESC LIMIT ?3)',
      service,
      component,
      keptDeployments,
    )
  }

  /** Why it went back, and what was printed last: kept before anything is taken back. */
  explainDeployment(id: string, reason: string, lastLines: readonly string[]): void {
    this.#store.run('UPDATE deployments SET reason = ?, last_lines = ? WHERE id = ?', reason, JSON.stringify(lastLines), id)
  }

  endDeployment(id: string, outcome: Outcome): void {
    this.#store.run('UPDATE deployments SET outcome = ? WHERE id = ?', outcome, id)
  }

  deployment(id: string): Deployment | undefined {
    const row = this.#store.get<DeploymentRow>('SELECT * FROM deployments WHERE id = ?', id)
    return row && deploymentOf(row)
  }

  /** Newest first. */
  deployments(service: string, component: string | undefined, most: number): readonly Deployment[] {
    return this.#store
      .all<DeploymentRow>(
        'SELECT * FROM deployments WHERE service = ?1 AND (?2 IS NULL OR component = ?2) ORDER BY at DESC, rowid DESC LIMIT ?3',
        service,
        component ?? null,
        most,
      )
      .map(deploymentOf)
  }

  /** Records that something happened, and tells who follows. */
  note({ service, component }: Partial<Place>, event: string, detail: string): NodeEvent {
    const time = this.#clock.now()
    const cut = detail.slice(0, maxDetail)
    const { lastId } = this.#store.run(
      'INSERT INTO events (time, service, component, event, detail) VALUES (?, ?, ?, ?, ?)',
      time,
      service ?? null,
      component ?? null,
      event,
      cut,
    )
    const noted: NodeEvent = { id: lastId, time, service: service ?? null, component: component ?? null, event, detail: cut }
    for (const listener of this.#listeners) listener(noted)
    return noted
  }

  /** The last `most` since then, oldest first. */
  events({
    service,
    since = 0,
    most,
  }: {
    readonly service?: string | undefined
    readonly since?: number | undefined
    readonly most: number
  }): readonly NodeEvent[] {
    return this.#store
      .all<NodeEvent>(
        'SELECT * FROM events WHERE time >= ?1 AND (?2 IS NULL OR service = ?2) ORDER BY id DESC LIMIT ?3',
        since,
        service ?? null,
        most,
      )
      .toReversed()
  }

  /** How often that happened there since then. */
  count({ service, component }: Place, event: string, since: number): number {
    return this.#store.get<{ n: number }>(
      'SELECT count(*) AS n FROM events WHERE service = ? AND component = ? AND event = ? AND time >= ?',
      service,
      component,
      event,
      since,
    )!.n
  }

  dropEvents(before: number): void {
    this.#store.run('DELETE FROM events WHERE time < ?', before)
  }

  /** Tells of every event from now on; returns what ends that. More than a few hundred listeners are refused by ending the oldest. */
  follow(listener: (event: NodeEvent) => void): () => void {
    if (this.#listeners.size >= maxListeners) this.#listeners.delete(this.#listeners.values().next().value!)
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** A whole copy while it is in use. */
  backup(to: string): Promise<void> {
    return this.#store.backup(to)
  }

  [Symbol.dispose](): void {
    this.#store.close()
  }
}

function deploymentOf({ reference, digest, last_lines: lastLines, ...row }: DeploymentRow): Deployment {
  return { ...row, image: { reference, digest }, lastLines: JSON.parse(lastLines) as string[] }
}
