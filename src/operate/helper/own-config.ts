// The helper's configuration: believed only when root alone can change it, and read again when the file has changed, so that nobody has to restart the helper.
import { asFault } from '../../kernel/fault.ts'
import { changeMark } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import type { OperateConfig } from '../config.ts'
import { readTrusted } from '../trusted-config.ts'

export interface OwnConfig {
  /**
   * As the file is now; looked at once in each turn of the event loop. Faults `operate.untrusted_file` and those of `loadConfig`, for as long as the file is
   * not mended: what was read before is not used any more.
   */
  current(): Promise<OperateConfig>
  /** Reads it again though it seems the same. */
  reload(): void
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
      reading = readTrusted(path)
      reading.catch((error: unknown) => log.error('helper.config.refused', { path, error: asFault(error).message }))
      return reading
    },
    reload() {
      reading = undefined
      isFresh = false
    },
  }
}
