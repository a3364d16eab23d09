// app.log: what the server tells its operator, kept in a file within the configured size, number and age.
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { type LogFile, openLogFile } from '../../kernel/log-file.ts'
import { type Log, createLog } from '../../kernel/log.ts'
import type { LoggingSettings } from './settings.ts'

export const appLogName = 'app.log'

/** Opens it in `folder`. A file that cannot be written costs nothing but its lines: the journal has them too. */
export function openAppLog(
  clock: Clock,
  settings: LoggingSettings,
  folder: string,
): { readonly log: Log; readonly file: LogFile } & Disposable {
  const file = openLogFile(clock, {
    path: join(folder, appLogName),
    maxBytes: settings.max_bytes,
    keepCount: settings.backup_count,
    keepMs: settings.retention_days * 86_400_000,
    mode: 0o640,
  })
  return {
    log: createLog(
      (line) => file.write(line),
      () => clock.now(),
      settings.level,
    ),
    file,
    [Symbol.dispose]: () => file.close(),
  }
}
