// Puts a backup in the place of what is in the data folder of a service.
import { command } from '../../base/terminal/command.ts'
import { sizeText } from '../../base/terminal/amount.ts'
import { onProgress } from '../cli/shown.ts'
import { findService } from '../cli/whereabouts.ts'

export default command({
  summary: 'put a backup back: all that is in the data folder of a service is replaced, as one step',
  description:
    'Refused while the service runs, unless --stop says that it may be stopped; then it is started again afterwards. What is there now is backed up first, unless --discard. Each file is checked by its hash before anything is replaced.',
  args: {
    service: { summary: 'the service' },
    name: { summary: 'which backup (mcp backup SERVICE --list); the newest by default', optional: true },
  },
  flags: {
    stop: { summary: 'stop the service for it, and start it again' },
    discard: { summary: 'do not back up what is there now' },
    node: { summary: 'where it is, if no definition says it', value: 'NODE' },
  },
  examples: [
    ['fairlead run restore metacrypt --stop', 'the newest backup'],
    ['fairlead run restore metacrypt 20261130T031500Z --stop', 'that one'],
  ],
  async run(context, { args: { service, name }, flags: { stop, discard, node: wanted } }) {
    const { terminal, signal } = context
    const { node } = await findService(context, service, { node: wanted })
    const done = await node.client().calls['restore-service']({ service, name, stop, discard }, { signal, onItem: onProgress(terminal) })
    terminal.done()
    if (done.otherOwners > 0)
      terminal.note(`${done.otherOwners} files and folders belonged to other users: they are of the agent's user now`)
    terminal.result(
      { node: node.name, service, ...done },
      () =>
        `${node.name}: ${service} is as it was in ${done.from.name} (${done.from.files} files, ${sizeText(done.from.sizeBytes)})${done.keptAs === null ? '' : `; what was there is ${done.keptAs}`}`,
    )
  },
})
