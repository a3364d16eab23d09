// Every way the store can fail, each with its remedy.
import { type Fault, faults } from '../../kernel/fault.ts'

export const fault = faults('store', {
  locked: (d: { folder: string }) => ({
    kind: 'conflict',
    message: `another process is the writer of ${d.folder}`,
    hint: `stop it, or go through it; \`fuser ${d.folder}/*.lock\` names the process`,
  }),
  busy: (d: { path: string }) => ({
    kind: 'unavailable',
    message: `${d.path} stayed locked by another connection`,
    hint: 'end the other program that has it open, then try again',
  }),
  full: (d: { path: string }) => ({
    kind: 'unavailable',
    message: `no room on the disk for ${d.path}`,
    hint: 'free space on its file system; nothing was written',
  }),
  constraint: (d: { path: string; reason: string }) => ({
    kind: 'conflict',
    message: `${d.path} refused a row: ${d.reason}`,
    hint: 'read the present row and try again',
  }),
  damaged: (d: { path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `${d.path} is damaged: ${d.reason}`,
    hint: 'restart: the file is set aside then and a fresh one begun; restore a backup if you have one',
  }),
  failed: (d: { path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `${d.path}: ${d.reason}`,
    hint: 'check that the folder exists, that its owner is right and that the disk works',
  }),
  migration_failed: (d: { path: string; version: number; reason: string }) => ({
    kind: 'bug',
    message: `${d.path} could not be brought to version ${d.version}: ${d.reason}`,
    hint: 'the file is unchanged; go back to the version of Fairlead that wrote it and report this',
  }),
})

// SQLite's primary result codes (https://www.sqlite.org/rescode.html); the extended ones carry them in the low byte.
const busy = 5
const corrupt = 11
const full = 13
const constraint = 19
const notADatabase = 26

function codeOf(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff
}

/** Whether SQLite says that the file itself is bad, as opposed to busy, missing or forbidden. */
export function isDamage(error: unknown): boolean {
  return codeOf(error) === corrupt || codeOf(error) === notADatabase || (error as { code?: unknown }).code === 'store.damaged'
}

/** What an error of SQLite means to us. */
export function storeFault(path: string, error: unknown): Fault {
  const reason = (error as Error).message
  const code = codeOf(error)
  if (code === busy) return fault.busy({ path }, error)
  if (code === full) return fault.full({ path }, error)
  if (code === constraint) return fault.constraint({ path, reason }, error)
  return isDamage(error) ? fault.damaged({ path, reason }, error) : fault.failed({ path, reason }, error)
}
