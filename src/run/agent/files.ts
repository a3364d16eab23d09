// Where the files of a node's agent are: all in one folder, `/srv/mcp` under the runbook's name.
import { dirname, join } from 'node:path'
import type { Folders } from '../../base/terminal/command.ts'

export type AgentFiles = {
  readonly folder: string
  readonly config: string
  readonly database: string
  readonly backups: string
  readonly certs: string
  /** Holds a folder for each service's data. */
  readonly services: string
  /** Where its sockets are. */
  readonly runtime: string
}

/** There the data of a service is beside the agent's own folder: /srv/<service>/. */
const runbookFolder = '/srv/mcp'

/** `config`: the file that was named; the folder is where it lies. */
export function agentFiles(folders: Folders, config: string | undefined): AgentFiles {
  const folder = config === undefined ? (folders.home ?? join(folders.state, 'run')) : dirname(config)
  return {
    folder,
    config: config ?? join(folder, 'mcp-agent.toml'),
    database: join(folder, 'mcp.db'),
    backups: join(folder, 'backups'),
    certs: join(folder, 'certs'),
    services: folder === runbookFolder ? dirname(folder) : join(folder, 'srv'),
    runtime: join(folder, 'run'),
  }
}
