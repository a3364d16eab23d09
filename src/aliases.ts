// The runbooks' command names: which command each stands for, and which folders it uses instead of Fairlead's own.
import type { OwnFolders } from './base/terminal/folders.ts'

export type Alias = {
  readonly name: string
  /** The words that its command path begins with. */
  readonly path: readonly string[]
  readonly folders: OwnFolders
}

const raspi: OwnFolders = {
  config: '/etc/mcp-raspi',
  state: '/var/lib/mcp-raspi',
  runtime: '/run/mcp-raspi',
  log: '/var/log/mcp-raspi',
}

export const aliases: readonly Alias[] = [
  { name: 'bmp', path: ['reach'], folders: { home: '~/.bmp' } },
  { name: 'bmp-server', path: ['reach', 'registry'], folders: { home: '~/.bmp' } }, // its own files: ~/.bmp/registry/
  { name: 'mcp', path: ['run'], folders: { config: '~/.config/mcp' } },
  { name: 'mcp-agent', path: ['run', 'agent'], folders: { home: '/srv/mcp' } },
  { name: 'mcp-raspi-server', path: ['operate', 'server'], folders: raspi },
  { name: 'raspi-ops-agent', path: ['operate', 'agent'], folders: raspi },
  { name: 'stage-b-smoke', path: ['gate', 'smoke'], folders: {} },
  { name: 'generate-stage-b-rehearsal-packet', path: ['gate', 'packet'], folders: {} },
]
