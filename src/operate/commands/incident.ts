// What is to be done at once when somebody may have got in: stop, keep the evidence, show what is suspicious, give credentials new values.
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../base/config/config.ts'
import type { Credential } from '../../base/config/credential.ts'
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
    "server's tokens, and each --rotate NAME, in secrets.env a new value. Nothing is started again: that is for whoever has looked.",
  flags: {
    to: { summary: 'the folder for the evidence; /var/lib/mcp-raspi-incidents/<DATE> by default', value: 'FOLDER' },
    rotate: { summary: 'a name in secrets.env that gets a new value too', value: 'NAME', repeat: true },
    'keep-credentials': { summary: 'give nothing a new value' },
    config: { summary: 'the configuration file; /etc/mcp-raspi/config.yml by default', value: 'FILE' },
  },
  examples: [['fairlead operate incident', 'stop, keep, show, rotate']],
  async run({ terminal, clock }, { flags }) {
    if (userInfo().uid !== 0) throw fault.root_wanted({ what: 'end an incident' })
    const unfit = flags.rotate.find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    if (unfit !== undefined) throw fault.bad_secret_name({ name: unfit })
    for (const unit of units.toReversed()) await systemUnits.stop(unit)
    const installation = installationAt()
    const date = new Date(clock.now()).toISOString().replaceAll(/[-:]|\.\d+/g, '')
    const evidence = await preserve(installation, flags.to ?? join('/var/lib/mcp-raspi-incidents', date))
    for (const { path, remark } of evidence.remarks) terminal.note(`${path}: ${remark}`)
    const found = await suspicions(evidence.folder)
    const { names, others } = await credentialsOf(flags.config ?? join(installation.config, 'config.yml'))
    const rotated = flags['keep-credentials'] ? [] : [...new Set([...names, ...flags.rotate])]
    if (rotated.length > 0) rotateSecrets(join(installation.config, 'secrets.env'), rotated)
    const result = {
      stopped: units,
      evidence: evidence.folder,
      files: evidence.files,
      sha256: evidence.sha256,
      suspicious: found,
      rotated,
      others,
    }
    terminal.result(result, () =>
      [
        `stopped: ${units.join(', ')}`,
        `evidence: ${evidence.folder}, ${evidence.files} files; the SHA-256 of its list of hashes is ${evidence.sha256}`,
        ...found.flatMap(({ file, count, last }) => [
          `${file}: ${count} entries to look at, the last of them`,
          ...last.slice(-shown).map((line) => `  ${line}`),
        ]),
        rotated.length > 0 ? `new values in secrets.env: ${rotated.join(', ')}` : 'no credential has a new value',
        ...others.map((where) => `give it a new value yourself: ${where}`),
        'when you have looked: systemctl start raspi-ops-agent mcp-raspi-server',
      ].join('\n'),
    )
  },
})

/** The server's tokens: by their names where they stand in secrets.env, and where they stand else. A configuration that cannot be read stops nothing. */
async function credentialsOf(path: string): Promise<{ readonly names: readonly string[]; readonly others: readonly string[] }> {
  const config = await loadConfig({ schema, path, isOptional: true }).catch(() => undefined)
  if (!config) return { names: [], others: [] }
  const { server, access } = config.value
  const all: [string, Credential | undefined][] = [
    ['server.token', server.token],
    ...Object.entries(access.tokens).map(([name, { token }]): [string, Credential] => [`access.tokens.${name}`, token]),
  ]
  return {
    names: all.flatMap(([, token]) => (token && 'env' in token ? [token.env] : [])),
    others: all.flatMap(([key, token]) =>
      token && !('env' in token) ? [`${key} (${'file' in token ? token.file : token.command[0]})`] : [],
    ),
  }
}
