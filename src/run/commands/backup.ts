// Copies the data folder of a service, or lists the copies that there are.
import { type Context, command } from '../../base/terminal/command.ts'
import { sizeText } from '../../base/terminal/amount.ts'
import { tableText } from '../../base/terminal/table.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import type { KnownNode } from '../cli/nodes.ts'
import { ageText, onProgress } from '../cli/shown.ts'
import { findService } from '../cli/whereabouts.ts'

export default command({
  summary: 'back up the data folder of a service while it runs; its databases are consistent',
  description:
    'To backups/SERVICE/TIME/ in the folder of the agent, as plain files with a manifest of hashes, modes and owners. The agent does so each day by itself; how many are kept, and for how long: [backups] in mcp-agent.toml.',
  args: { service: { summary: 'the service' } },
  flags: {
    list: { summary: 'only list the backups that there are, newest first' },
    node: { summary: 'where it is, if no definition says it', value: 'NODE' },
  },
  examples: [
    ['fairlead run backup metacrypt', 'back up /srv/metacrypt/'],
    ['fairlead run backup metacrypt --list', 'those that mcp restore can put back'],
  ],
  async run(context, { args: { service }, flags }) {
    const { terminal, signal } = context
    const { node } = await findService(context, service, { node: flags.node })
    if (flags.list) return list(context, node, service)
    const backup = await node.client().calls['backup-service']({ service }, { signal, onItem: onProgress(terminal) })
    terminal.done()
    for (const { path, remark } of backup.remarks) terminal.note(visibleText(`${path}: ${remark}`))
    terminal.result(
      { node: node.name, service, ...backup },
      () => `${node.name}:${backup.path} (${backup.files} files, ${sizeText(backup.sizeBytes)}, databases: ${backup.databases.length})`,
    )
  },
})

async function list({ terminal, signal, clock }: Context, node: KnownNode, service: string): Promise<void> {
  const backups = await node.client().calls['list-backups']({ service }, { signal })
  terminal.result({ node: node.name, service, backups }, () => {
    if (backups.length === 0) return `${node.name} has no backup of ${service}`
    const rows = backups.map(({ name, at, files, sizeBytes, databases }) => [
      name,
      ageText(clock.now(), at),
      String(files),
      sizeText(sizeBytes),
      visibleText(databases.join(' ')),
    ])
    return tableText([['NAME', 'AGE', 'FILES', 'SIZE', 'DATABASES'], ...rows])
  })
}
