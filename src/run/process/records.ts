// What the runtime of plain processes knows: its containers, what they printed, and the images it keeps; in one database, so that it outlives the agent.
import type { Store } from '../../base/store/store.ts'
import type { ContainerSpec, LogLine } from '../runtime.ts'

export const migrations: readonly string[] = [
  `CREATE TABLE containers (
     number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, spec TEXT NOT NULL,
     state TEXT NOT NULL, started_at INTEGER, exit_code INTEGER, restarts INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE lines (
     number INTEGER PRIMARY KEY AUTOINCREMENT, container TEXT NOT NULL, time INTEGER NOT NULL, stream TEXT NOT NULL, text TEXT NOT NULL
   ) STRICT;
   CREATE INDEX lines_of ON lines (container, number);
   CREATE TABLE images (digest TEXT PRIMARY KEY, name TEXT NOT NULL, used INTEGER NOT NULL) STRICT;`,
]

/** Kept of one container's lines; that many more may be there for a moment. */
const maxLines = 10_000
const spareLines = 1_000
/** Kept of images of one name that no container is made of any more, for the way back. */
const keptImages = 8

export type Row = {
  readonly id: string
  readonly spec: ContainerSpec
  name: string
  state: 'created' | 'running' | 'exited'
  startedAt: number | undefined
  exitCode: number | undefined
  restarts: number
}

type Columns = {
  readonly id: string
  readonly name: string
  readonly spec: string
  readonly state: Row['state']
  readonly started_at: number | null
  readonly exit_code: number | null
  readonly restarts: number
}

/** `number` grows from line to line. */
export type NumberedLine = LogLine & { readonly number: number }

export interface Records {
  all(): Row[]
  add(row: Row): void
  save(row: Row): void
  /** With all that it printed. */
  remove(id: string): void
  addLines(id: string, lines: readonly LogLine[]): void
  /** Oldest first. */
  lines(id: string, asked: { readonly tail?: number | undefined; readonly since?: number | undefined }): readonly NumberedLine[]
  /** A thousand at most; `number` 0 is before the first. */
  linesAfter(id: string, number: number): readonly NumberedLine[]
  /** The newest line's; 0 when there is none. */
  lastLine(id: string): number
  /** A container is made of it now. */
  useImage(digest: string, name: string): void
  nameOfImage(digest: string): string | undefined
  /** Digests of images that need not be kept any more: forgotten here, theirs to remove who asks. */
  dropImages(): readonly string[]
}

export function recordsIn(store: Store): Records {
  const counts = new Map<string, number>()
  return {
    all: () =>
      store
        .all<Columns>('SELECT id, name, spec, state, started_at, exit_code, restarts FROM containers ORDER BY number')
        .map(({ id, name, spec, state, started_at: startedAt, exit_code: exitCode, restarts }) => ({
          id,
          name,
          spec: JSON.parse(spec) as ContainerSpec,
          state,
          startedAt: startedAt ?? undefined,
          exitCode: exitCode ?? undefined,
          restarts,
        })),
    add({ id, name, spec, state, restarts }) {
      store.run(
        'INSERT INTO containers (id, name, spec, state, restarts) VALUES (?, ?, ?, ?, ?)',
        id,
        name,
        JSON.stringify(spec),
        state,
        restarts,
      )
    },
    save({ id, name, state, startedAt, exitCode, restarts }) {
      store.run(
        'UPDATE containers SET name = ?, state = ?, started_at = ?, exit_code = ?, restarts = ? WHERE id = ?',
        name,
        state,
        startedAt ?? null,
        exitCode ?? null,
        restarts,
        id,
      )
    },
    remove(id) {
      counts.delete(id)
      store.transaction(() => {
        store.run('DELETE FROM containers WHERE id = ?', id)
        store.run('DELETE FROM lines WHERE container = ?', id)
      })
    },
    addLines(id, lines) {
      store.transaction(() => {
        for (const { time, stream, text } of lines)
          store.run('INSERT INTO lines (container, time, stream, text) VALUES (?, ?, ?, ?)', id, time, stream, text)
        const before =
          counts.get(id) ??
          store.get<{ count: number }>('SELECT count(*) AS count FROM lines WHERE container = ?', id)!.count - lines.length
        const now = before + lines.length
        counts.set(id, now)
        if (now <= maxLines + spareLines) return
        store.run(
          'DELETE FROM lines WHERE container = ? AND number <= (SELECT number FROM lines WHERE container = ? ORDER BY number DESC LIMIT 1 OFFSET ?)',
          id,
          id,
          maxLines,
        )
        counts.set(id, maxLines)
      })
    },
    lines: (id, { tail = maxLines + spareLines, since = 0 }) =>
      store
        .all<NumberedLine>(
          'SELECT number, time, stream, text FROM lines WHERE container = ? AND time >= ? ORDER BY number DESC LIMIT ?',
          id,
          since,
          tail,
        )
        .reverse(),
    linesAfter: (id, number) =>
      store.all<NumberedLine>(
        'SELECT number, time, stream, text FROM lines WHERE container = ? AND number > ? ORDER BY number LIMIT 1000',
        id,
        number,
      ),
    lastLine: (id) => store.get<{ last: number | null }>('SELECT max(number) AS last FROM lines WHERE container = ?', id)?.last ?? 0,
    useImage(digest, name) {
      const used = 'SELECT coalesce(max(used), 0) + 1 FROM images'
      store.run(
        `INSERT INTO images (digest, name, used) VALUES (?, ?, (${used})) ON CONFLICT (digest) DO UPDATE SET used = (${used})`,
        digest,
        name,
      )
    },
    nameOfImage: (digest) => store.get<{ name: string }>('SELECT name FROM images WHERE digest = ?', digest)?.name,
    dropImages() {
      const old = store.all<{ digest: string }>(
        `SELECT digest FROM images AS one
         WHERE NOT EXISTS (SELECT 1 FROM containers WHERE json_extract(spec, '$.image.digest') = one.digest)
           AND (SELECT count(*) FROM images AS later WHERE later.name = one.name AND later.used > one.used) >= ?`,
        keptImages,
      )
      for (const { digest } of old) store.run('DELETE FROM images WHERE digest = ?', digest)
      return old.map(({ digest }) => digest)
    },
  }
}
