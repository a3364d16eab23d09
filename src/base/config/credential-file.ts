// A credential in a file of its own: read without the schemas of a configuration, so that a quick start stays quick.
import { faults } from '../../kernel/fault.ts'
import { readText, statOf } from '../../kernel/file.ts'
import { Secret } from '../../kernel/secret.ts'

/** Of a credential, in characters. */
export const maxLength = 16_384

export const fault = faults('credential', {
  no_file: (d: { path: string }) => ({
    kind: 'config',
    message: `the credential file ${d.path} is not there, or is no plain file`,
    hint: `make it: install -m 600 /dev/stdin ${d.path}`,
  }),
  loose_file: (d: { path: string; mode: string }) => ({
    kind: 'config',
    message: `others may read or change the credential file ${d.path} (mode ${d.mode})`,
    hint: `chmod 600 ${d.path}`,
  }),
  no_variable: (d: { name: string }) => ({
    kind: 'config',
    message: `the environment variable ${d.name} holds no credential`,
    hint: `set ${d.name} before the start`,
  }),
  command_failed: (d: { command: string; exitCode: number | null }) => ({
    kind: 'unavailable',
    message: `the command ${d.command}, which is to print a credential, ended with ${d.exitCode ?? 'a signal'}`,
    hint: 'run it by hand; it gets only HOME, PATH and USER',
  }),
  unfit: (d: { from: string }) => ({
    kind: 'config',
    message: `${d.from} gives no usable credential: it must be text of 1 to ${maxLength} characters`,
    hint: 'keep the credential alone in it',
  }),
})

/** The credential alone in a file that nobody else can read; one line feed at its end is dropped. Faults: `credential.no_file`, `.loose_file`, `.unfit`. */
export function credentialInFile(path: string): Secret {
  const stats = statOf(path)
  if (!stats?.isFile()) throw fault.no_file({ path })
  // What root owns it may share with a daemon's group, to read only: the usual way to hand a credential to a service.
  const allowed = stats.uid === 0 ? 0o740 : 0o700
  if (stats.mode & 0o777 & ~allowed) throw fault.loose_file({ path, mode: (stats.mode & 0o777).toString(8) })
  if (stats.size > 4 * maxLength) throw fault.unfit({ from: path })
  return secretOf(readText(path) ?? '', path)
}

/** A text as a Secret; `from` says in the fault where it came from. Fault: `credential.unfit`. */
export function secretOf(text: string, from: string): Secret {
  const value = text.replace(/\r?\n$/, '')
  if (value.length === 0 || value.length > maxLength || value.includes('\0')) throw fault.unfit({ from })
  return new Secret(value)
}
