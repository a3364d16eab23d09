// Where the machine server keeps what it measures and records.
import { join } from 'node:path'
import type { Context } from '../base/terminal/command.ts'
import type { OperateConfig } from './config.ts'

export type Places = {
  /** The database of metrics. */
  readonly metrics: string
  /** The folder of app.log and audit.log. */
  readonly logs: string
  /** What salts the arguments in the audit log: not beside it, where old files are cleared away. */
  readonly secret: string
}

/** Under the runbook's name the folders are the capability's own; else it has one below those of all. */
export function placesOf(
  { folders, alias }: Pick<Context, 'folders' | 'alias'>,
  config: Pick<OperateConfig, 'metrics' | 'logging'>,
): Places {
  const state = alias === undefined ? join(folders.state, 'machine') : folders.state
  return {
    metrics: config.metrics.storage_path ?? join(state, 'metrics', 'metrics.db'),
    secret: join(state, 'audit.secret'),
    logs: config.logging.dir ?? folders.log ?? join(state, 'log'),
  }
}
