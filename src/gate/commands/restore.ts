// Lets the connectors of the running gate in again.
import { command } from '../../base/terminal/command.ts'
import { configFlag, runningGate } from '../client.ts'

export default command({
  summary: 'end a freeze: the connectors of the running gate go through it again',
  description: 'How long they did not is written into the record of calls and into the rotation ledger.',
  flags: { config: configFlag },
  examples: [['fairlead gate restore', 'connectors hand-shake again']],
  async run(context, { flags: { config } }) {
    const { configs } = await import('../../extensions.ts')
    const gate = await runningGate(context, configs, config)
    const { changed } = await gate['restore-connectors']({})
    context.terminal.result({ frozen: false, changed }, () =>
      changed ? 'the connectors go through the gate again' : 'they were not frozen',
    )
  },
})
