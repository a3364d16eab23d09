// The configuration of the machine's server and helper: believed only when nobody but root, or the daemon's own user, can change it, and nobody reads the secrets beside it.
import { dirname, join } from 'node:path'
import { loadConfig } from '../base/config/config.ts'
import { distrustOf } from '../base/config/trusted.ts'
import schema, { type OperateConfig } from './config.ts'
import { fault } from './faults.ts'

/** The server's group may read it. */
const configMode = 0o640
const secretsMode = 0o600

/** `isOptional`: a file that is not there is one without settings. Faults `operate.untrusted_file`, and those of `loadConfig`. */
export async function readTrusted(path: string, { isOptional = false } = {}): Promise<OperateConfig> {
  const secrets = join(dirname(path), 'secrets.env')
  for (const [file, mode] of [
    [path, configMode],
    [secrets, secretsMode],
  ] as const) {
    const found = distrustOf(file, mode)
    if (found) throw fault.untrusted_file({ path: file, ...found })
  }
  return (await loadConfig({ schema, path, isOptional, isYaml11Too: true })).value
}
