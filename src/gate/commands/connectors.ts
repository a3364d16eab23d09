// Shows how the connectors of the running gate stand.
import { command } from '../../base/terminal/command.ts'
import type { ConnectorState } from '../api.ts'
import { configFlag, runningGate } from '../client.ts'

export default command({
  summary: 'show the connectors of the running gate: credential, sessions, last heartbeat',
  flags: { config: configFlag },
  examples: [
    ['fairlead gate connectors', 'a line for each, and one for each of its sessions'],
    ['fairlead gate connectors --json', 'the same, whole, for a program'],
  ],
  async run(context, { flags: { config } }) {
    const { configs } = await import('../../extensions.ts')
    const gate = await runningGate(context, configs, config)
    const connectors = await gate['list-connectors']({})
    context.terminal.result({ connectors }, () => connectors.map(shown).join('\n'))
  },
})

function shown({
  connector_id: id,
  status,
  rotated_at: rotatedAt,
  credential_expiry: expiry,
  rotation,
  frozen,
  sessions,
}: ConnectorState): string {
  const lines = [
    `${id.padEnd(18)} ${status.padEnd(9)} ${rotatedAt === null ? 'no credential: fairlead gate rotate' : `rotated ${rotatedAt}, fresh until ${expiry}`}`,
  ]
  if (frozen) lines.push(`  frozen since ${frozen.since}: ${frozen.why}`)
  if (rotation)
    lines.push(`  rotating to ${rotation.fingerprint}, ${rotation.proved ? 'proved' : 'not proved yet'}, until ${rotation.until}`)
  for (const { id: session, instance, heartbeat, late_since: late } of sessions) {
    const beat = heartbeat ? `last heartbeat ${heartbeat.received_at}` : 'no heartbeat yet'
    lines.push(`  ${session} ${instance}: ${beat}${late === null ? '' : `, late since ${late}`}`)
  }
  return lines.join('\n')
}
