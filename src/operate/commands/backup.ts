// Backs up the machine server's configuration, data and version.json, while it runs.
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../base/config/config.ts'
import { sizeText } from '../../base/terminal/amount.ts'
import { command } from '../../base/terminal/command.ts'
import { takeBackup } from '../backup/take.ts'
import schema from '../config.ts'
import { fault } from '../faults.ts'
import { installationAt } from '../installation.ts'

export default command({
  summary: 'back up the machine server: configuration, data, version.json',
  description:
    'Writes /backup/mcp-raspi/<DATE>.tar.gz and, unpacked, /backup/latest ([backup]); databases are copied by SQLite, each as it stood at one moment. For keys of age in [backup.recipients], or here, the ' +
    'archive is sealed, and nothing is kept unsealed.',
  flags: {
    recipient: {
      summary: 'a key of age (age1…) to seal the archive for, in place of those that are configured',
      value: 'KEY',
      repeat: true,
    },
    config: { summary: 'the configuration file; /etc/mcp-raspi/config.yml by default', value: 'FILE' },
  },
  examples: [['fairlead operate backup', 'what mcp-backup.sh runs at 02:00']],
  async run({ terminal, clock }, { flags }) {
    if (userInfo().uid !== 0) throw fault.root_wanted({ what: 'back up the machine server' })
    const installation = installationAt()
    const { value } = await loadConfig({ schema, path: flags.config ?? join(installation.config, 'config.yml') })
    const { folder, keep_days: keepDays, recipients } = value.backup
    const chosen = flags.recipient.length > 0 ? flags.recipient : recipients
    const made = await takeBackup({ clock }, { installation, folder, keepDays, recipients: chosen })
    for (const { path, remark } of made.remarks) terminal.note(`${path}: ${remark}`)
    terminal.result(made, () => `${made.path} (${sizeText(made.sizeBytes)})`)
  },
})
