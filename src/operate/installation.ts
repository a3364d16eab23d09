// Where deployment/install.sh puts the machine's server and helper, and what their services are called: the runbook's places.
import { join } from 'node:path'

export type Installation = {
  /** Holds the releases, `current`, `version.json`; root's alone. */
  readonly root: string
  /** The folder of config.yml and secrets.env. */
  readonly config: string
  readonly state: string
  readonly logs: string
  /** Root's, where the server's account can put nothing in the way. */
  readonly helperLogs: string
  readonly backups: string
  /** Whom the server runs as; its group may read logs and databases. */
  readonly account: string
}

/** The one of this machine; tests name another place for all of it. */
export function installationAt(place = '/'): Installation {
  return {
    root: join(place, 'opt/mcp-raspi'),
    config: join(place, 'etc/mcp-raspi'),
    state: join(place, 'var/lib/mcp-raspi'),
    logs: join(place, 'var/log/mcp-raspi'),
    helperLogs: join(place, 'var/log/mcp-raspi-agent'),
    backups: join(place, 'backup'),
    account: 'mcp-raspi',
  }
}

export const serverUnit = 'mcp-raspi-server.service'
export const helperUnit = 'raspi-ops-agent.service'
/** In the order in which they start. */
export const units: readonly string[] = [helperUnit, serverUnit]
