// Puts a backup of the machine server back.
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../base/config/config.ts'
import { command } from '../../base/terminal/command.ts'
import { readText } from '../../kernel/file.ts'
import { Secret } from '../../kernel/secret.ts'
import { fault } from '../backup/faults.ts'
import { restoreBackup, undoRestore } from '../backup/restore.ts'
import schema from '../config.ts'
import { fault as operateFault } from '../faults.ts'
import { installationAt } from '../installation.ts'
import { systemUnits } from '../units.ts'

export default command({
  summary: 'put a backup of the machine server back',
  description:
    'Stops the services that run, puts configuration and data in their places as one step, and starts them again; when they do not come up, all is as it was. The release that runs stays: version.json is ' +
    'not put back.',
  args: { backup: { summary: 'an archive, a sealed one, or a folder; /backup/latest by default', optional: true } },
  flags: {
    undo: { summary: 'take back one that was cut off, and put nothing in its place: what runs after a loss of power' },
    key: { summary: 'the file of the key of age that opens a sealed archive', value: 'FILE' },
    config: { summary: 'the configuration file; /etc/mcp-raspi/config.yml by default', value: 'FILE' },
  },
  examples: [['fairlead operate restore /backup/mcp-raspi/20261130-020000.tar.gz', 'put that one back']],
  async run({ terminal, clock, log }, { args: { backup }, flags }) {
    if (userInfo().uid !== 0) throw operateFault.root_wanted({ what: 'put a backup back' })
    const installation = installationAt()
    const needs = { clock, log, units: systemUnits }
    if (flags.undo) {
      const isUndone = await undoRestore(needs, installation)
      return terminal.result({ isUndone }, () => (isUndone ? 'all is as it was' : 'no restore was cut off'))
    }
    const { value } = await loadConfig({ schema, path: flags.config ?? join(installation.config, 'config.yml'), isOptional: true })
    const from = backup ?? join(value.backup.folder, 'latest')
    const keys = flags.key === undefined ? undefined : readText(flags.key)
    if (flags.key !== undefined && keys === undefined) throw fault.none({ path: flags.key })
    await restoreBackup(needs, { installation, from, key: keys === undefined ? undefined : { keys: new Secret(keys) } })
    terminal.result({ from }, () => `${from} is put back`)
  },
})
