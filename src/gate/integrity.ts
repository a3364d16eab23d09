// What a server's files must be before it is started: their SHA-256, as the configuration pins them.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { reasonOf } from '../kernel/fault.ts'
import { statOf } from '../kernel/file.ts'
import { fault } from './faults.ts'

/** One digest of the command's executable, or one for each file. */
export type Integrity = string | Readonly<Record<string, string>>

export type PinnedCommand = {
  readonly name: string
  readonly argv: readonly [string, ...string[]]
  readonly cwd: string
  /** Where executables are searched, as the child will. */
  readonly path: string
}

/** Faults `gate.not_pinned`, `gate.pinned_unreadable`: then it must not be started. */
export async function checkIntegrity({ name, argv, cwd, path }: PinnedCommand, integrity: Integrity): Promise<void> {
  const pinned = typeof integrity === 'string' ? { [executableOf(argv[0], cwd, path)]: integrity } : integrity
  for (const [file, digest] of Object.entries(pinned)) {
    const found = await digestOf(name, isAbsolute(file) ? file : join(cwd, file))
    if (found !== digest) throw fault.not_pinned({ upstream: name, file, pinned: digest, found })
  }
}

function executableOf(command: string, cwd: string, path: string): string {
  if (command.includes('/')) return isAbsolute(command) ? command : join(cwd, command)
  const places = path.split(delimiter).map((folder) => join(folder, command))
  return places.find((place) => statOf(place)?.isFile()) ?? command
}

async function digestOf(upstream: string, file: string): Promise<string> {
  const hash = createHash('sha256')
  try {
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  } catch (error) {
    throw fault.pinned_unreadable({ upstream, file, reason: reasonOf(error) }, error)
  }
  return `sha256-${hash.digest('base64')}`
}
