// The helper's configuration: believed only when root alone can change it, and read again when the file has changed, so that nobody has to restart the helper.
import { dirname, join } from 'node:path'
import { loadConfig } from '../../base/config/config.ts'
import { distrustOf } from '../../base/config/trusted.ts'
import { asFault } from '../../kernel/fault.ts'
import { changeMark } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import schema, { type OperateConfig } from '../config.ts'
import { fault } from '../faults.ts'

/** The server's group may read it. */
const configMode = 0o640
const secretsMode = 0o600

export interface OwnConfig {
  /**
   * As the file is now; looked at once in each turn of the event loop. Faults `operate.untrusted_file` and those of `loadConfig`, for as long as the file is
   * not mended: what was read before is not used any more.
   */
  current(): Promise<OperateConfig>
  /** Reads it again though it seems the same. */
  reload(): void
}

/** Faults `operate.untrusted_file`, and those of `loadConfig`. */
export async function readOwnConfig(path: string): Promise<OperateConfig> {
  const secrets = join(dirname(path), 'secrets.env')
  for (const [file, mode] of [
    [path, configMode],
    [secrets, secretsMode],
  ] as const) {
    const found = distrustOf(file, mode)
    if (found) throw fault.untrusted_file({ path: file, ...found })
  }
  return (await loadConfig({ schema, path, isYaml11Too: true })).value
}

export function ownConfig({ log }: { readonly log: Log }, path: string): OwnConfig {
  let mark: string | undefined
  let reading: Promise<OperateConfig> | undefined
  let isFresh = false
  return {
    current() {
      if (isFresh) return reading!
      isFresh = true
      setImmediate(() => (isFresh = false))
      const now = changeMark(path)
      if (now === mark && reading) return reading
      if (mark !== undefined) log.info('helper.config.changed', { path })
      mark = now
      reading = readOwnConfig(path)
      reading.catch((error: unknown) => log.error('helper.config.refused', { path, error: asFault(error).message }))
      return reading
    },
    reload() {
      reading = undefined
      isFresh = false
    },
  }
}
