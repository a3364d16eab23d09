// Asks the daemons of this machine that are there, wherever their files may be, and says of the others how they are not.
import { join } from 'node:path'
import { type Fault, asFault } from '../../kernel/fault.ts'
import { statOf } from '../../kernel/file.ts'
import { type LookNeeds, type StatusLine, patienceMs } from '../checks/status.ts'
import { type Api, type Calls, socketNames } from './api.ts'
import { controlClient } from './client.ts'

export type NearbyDaemon<A extends Api> = {
  /** What people call it, as the name of its line: `gate`. */
  readonly name: string
  readonly api: A
  /** Where its sockets may be; the first is the usual place. */
  readonly folders: readonly string[]
  /** The command that starts it. */
  readonly start: string
}

/** What one of them answered, or what to tell of it instead. Where there are several, `name` says which. */
export type Nearby<T> = { readonly name: string } & (
  | { readonly value: T; readonly line?: undefined }
  | { readonly value?: undefined; readonly line: StatusLine }
)

/** Asks all that left their sockets, at once and for `patienceMs`; without any there is one line that says so. */
export async function askNearby<A extends Api, T>(
  { clock, signal }: Pick<LookNeeds, 'clock' | 'signal'>,
  { name, api, folders, start }: NearbyDaemon<A>,
  ask: (calls: Calls<A>, signal: AbortSignal) => Promise<T>,
): Promise<readonly Nearby<T>[]> {
  const there = [...new Set(folders)].filter((folder) => mayBeIn(folder))
  if (there.length === 0) return [{ name, line: { name, standing: 'off', text: 'it does not run', remedy: start } }]
  return Promise.all(
    there.map(async (folder): Promise<Nearby<T>> => {
      const called = folder === folders[0] || there.length === 1 ? name : `${name} in ${folder}`
      const { calls } = controlClient(api, { daemon: name, folder, privilege: 'observe', timeoutMs: patienceMs }, clock)
      try {
        return { name: called, value: await ask(calls, signal) }
      } catch (error) {
        signal.throwIfAborted()
        return { name: called, line: { name: called, ...absence(asFault(error), folder, start) } }
      }
    }),
  )
}

/** What is in a folder that we may not look into is somebody else's concern. */
function mayBeIn(folder: string): boolean {
  try {
    return statOf(join(folder, socketNames.observe)) !== undefined
  } catch {
    return false
  }
}

function absence({ code, message, hint, details }: Fault, folder: string, start: string): Omit<StatusLine, 'name'> {
  const reason = typeof details['reason'] === 'string' ? details['reason'] : ''
  if (code !== 'control.unreachable') return { standing: 'bad', text: message, remedy: hint }
  if (reason === 'ECONNREFUSED')
    return { standing: 'bad', text: `it was killed, or broke down: nobody listens in ${folder} any more`, remedy: start }
  if (reason === 'EACCES')
    return {
      standing: 'off',
      text: `one runs as somebody else: its socket in ${folder} may not be opened`,
      remedy: 'ask as that user, or as root',
    }
  if (reason === 'ENOENT') return { standing: 'off', text: 'it has just ended', remedy: start }
  return { standing: 'bad', text: `it does not answer (${reason})`, remedy: 'look at its log, and restart it' }
}
