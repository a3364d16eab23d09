// Where the files of `mcp` are on a person's machine: `~/.config/mcp`, or below Fairlead's own folder.
import { join } from 'node:path'
import type { Context } from '../../base/terminal/command.ts'

export type CliFiles = {
  readonly folder: string
  /** Which nodes there are. */
  readonly config: string
  /** The bearer token, for every node that has none of its own in `nodes/`. */
  readonly token: string
  /** What was pinned, and the tokens of single nodes. */
  readonly nodes: string
  /** A definition for each service. */
  readonly services: string
  /** When each node was last heard. */
  readonly heard: string
  /** The sockets of an agent of this machine with these folders. */
  readonly local: string
}

export function cliFiles({ folders, alias }: Pick<Context, 'folders' | 'alias'>): CliFiles {
  const folder = alias === 'mcp' ? folders.config : join(folders.config, 'run')
  return {
    folder,
    config: join(folder, 'mcp.toml'),
    token: join(folder, 'token'),
    nodes: join(folder, 'nodes'),
    services: join(folder, 'services'),
    heard: join(folders.state, 'run', 'heard.json'),
    local: join(folders.home ?? join(folders.state, 'run'), 'run'),
  }
}
