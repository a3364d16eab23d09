// Credentials never stand in a configuration file: the file says where one is kept, and here it becomes a Secret.
import { isAbsolute, join } from 'node:path'
import { z } from 'zod'
import { exec } from '../../kernel/exec.ts'
import { faults } from '../../kernel/fault.ts'
import { readText, statOf } from '../../kernel/file.ts'
import { Secret } from '../../kernel/secret.ts'

const fault = faults('credential', {
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

const maxLength = 16_384
const ways = '{ file = "PATH" }, { env = "NAME" } or { command = ["PROGRAM", …] }'

/** No operating system takes a NUL in a path or an argument. */
const word = z.string().regex(/^[^\0]+$/)

/** A key that names a credential. The value itself, written out, is refused. */
export const credential = z
  .union(
    [
      z.strictObject({ file: word }),
      z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/) }),
      z.strictObject({ command: z.tuple([word], word) }),
    ],
    {
      error: ({ input }) =>
        typeof input === 'string' ? `a credential may not stand in this file: keep it elsewhere and write ${ways}` : `must be ${ways}`,
    },
  )
  .describe(`a credential: ${ways}`)

export type Credential = z.output<typeof credential>

export type CredentialNeeds = {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Relative file names are below this folder: that of the configuration file. */
  readonly folder: string
}

/**
 * Fetches the credential: from a file that nobody else can read, from the environment, or from a command's output. One line feed at its end is dropped.
 * Faults: `credential.no_file`, `.loose_file`, `.no_variable`, `.command_failed`, `.unfit`; none repeats the value.
 */
export async function resolveCredential(value: Credential, needs: CredentialNeeds): Promise<Secret> {
  if ('file' in value) return fromFile(isAbsolute(value.file) ? value.file : join(needs.folder, value.file))
  if ('env' in value) {
    const text = needs.env[value.env]
    if (!text) throw fault.no_variable({ name: value.env })
    return secretOf(text, `the environment variable ${value.env}`)
  }
  const [command] = value.command
  const env = Object.fromEntries(
    ['HOME', 'PATH', 'USER'].flatMap((name) => (needs.env[name] === undefined ? [] : [[name, needs.env[name]]])),
  ) as Record<string, string>
  const { exitCode, stdout } = await exec(value.command, { env, cwd: needs.folder, maxBytes: 4 * maxLength })
  if (exitCode !== 0) throw fault.command_failed({ command, exitCode })
  return secretOf(stdout, `the command ${command}`)
}

function fromFile(path: string): Secret {
  const stats = statOf(path)
  if (!stats?.isFile()) throw fault.no_file({ path })
  // What root owns it may share with a daemon's group, to read only: the usual way to hand a credential to a service.
  const allowed = stats.uid === 0 ? 0o740 : 0o700
  if (stats.mode & 0o777 & ~allowed) throw fault.loose_file({ path, mode: (stats.mode & 0o777).toString(8) })
  if (stats.size > 4 * maxLength) throw fault.unfit({ from: path })
  return secretOf(readText(path) ?? '', path)
}

function secretOf(text: string, from: string): Secret {
  const value = text.replace(/\r?\n$/, '')
  if (value.length === 0 || value.length > maxLength || value.includes('\0')) throw fault.unfit({ from })
  return new Secret(value)
}
