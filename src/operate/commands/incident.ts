// What is to be done at once when somebody may have got in: stop, keep the evidence, show what is suspicious, give credentials new values.
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../base/config/config.ts'
import { command } from '../../base/terminal/command.ts'
import schema from '../config.ts'
import { fault } from '../faults.ts'
import { preserve, suspicions } from '../incident/preserve.ts'
import { rotateSecrets } from '../incident/rotate.ts'
import { installationAt, units } from '../installation.ts'
import { systemUnits } from '../units.ts'

const shown = 5

export default command({
  summary: 'stop the machine server, keep the evidence, rotate its credentials',
  description:
    'Stops the server and its helper; copies logs, records, configuration and journal with a hash each to a folder of root; shows which entries tell of people who were let in or kept out; and gives the ' +
    "server's own token, and each --rotate NAME in secrets.env, a new value. Nothing is started again: that is for whoever has looked.",
  flags: {
    to: { summary: 'the folder for the evidence; /var/lib/mcp-raspi-incidents/<DATE> by default', value: 'FOLDER' },
    rotate: { summary: 'a name in secrets.env that gets a new value too', value: 'NAME', repeat: true },
    'keep-credentials': { summary: 'give nothing a new value' },
    config: { summary: 'the configuration file; /etc/mcp-raspi/config.yml by default', value: 'FILE' },
  },
  examples: [['fairlead operate incident', 'stop, keep, show, rotate']],
  async run({ terminal, clock }, { flags }) {
    if (userInfo().uid !== 0) throw fault.root_wanted({ what: 'end an incident' })
    for (const unit of units.toReversed()) await systemUnits.stop(unit)
    const installation = installationAt()
    const date = new Date(clock.now()).toISOString().replaceAll(/[-:]|\.\d+/g, '')
    const evidence = await preserve(installation, flags.to ?? join('/var/lib/mcp-raspi-incidents', date))
    for (const { path, remark } of evidence.remarks) terminal.note(`${path}: ${remark}`)
    const found = await suspicions(evidence.folder)
    const rotated = flags['keep-credentials']
      ? []
      : await namesToRotate(flags.config ?? join(installation.config, 'config.yml'), flags.rotate)
    if (rotated.length > 0) rotateSecrets(join(installation.config, 'secrets.env'), rotated)
    const result = { stopped: units, evidence: evidence.folder, files: evidence.files, sha256: evidence.sha256, suspicious: found, rotated }
    terminal.result(result, () =>
      [
        `stopped: ${units.join(', ')}`,
        `evidence: ${evidence.folder}, ${evidence.files} files; the SHA-256 of its list of hashes is ${evidence.sha256}`,
        ...found.flatMap(({ file, count, last }) => [
          `${file}: ${count} entries to look at, the last of them`,
          ...last.slice(-shown).map((line) => `  ${line}`),
        ]),
        rotated.length > 0 ? `new values in secrets.env: ${rotated.join(', ')}` : 'no credential has a new value',
        'when you have looked: systemctl start raspi-ops-agent mcp-raspi-server',
      ].join('\n'),
    )
  },
})

/** The server's own token, if it stands in secrets.env, and what is named. A configuration that cannot be read stops nothing. */
async function namesToRotate(path: string, named: readonly string[]): Promise<readonly string[]> {
  const token = await loadConfig({ schema, path, isOptional: true }).then(
    ({ value }) => value.server.token,
    () => undefined,
  )
  return [...new Set([...(token && 'env' in token ? [token.env] : []), ...named])]
}
