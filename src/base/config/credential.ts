// Credentials never stand in a configuration file: the file says where one is kept, and here it becomes a Secret.
import { isAbsolute, join } from 'node:path'
import { z } from 'zod'
import { exec } from '../../kernel/exec.ts'
import type { Secret } from '../../kernel/secret.ts'
import { credentialInFile, fault, maxLength, secretOf } from './credential-file.ts'

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
  if ('file' in value) return credentialInFile(isAbsolute(value.file) ? value.file : join(needs.folder, value.file))
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
