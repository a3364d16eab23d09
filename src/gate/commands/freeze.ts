// Takes the connectors out of MCP on the running gate, at once.
import { command } from '../../base/terminal/command.ts'
import { configFlag, runningGate } from '../client.ts'

export default command({
  summary: 'freeze the connectors of the running gate: they are told to take the direct way',
  description:
    'Handshakes, heartbeats and channels are answered 503 (gate.frozen) until `fairlead gate restore`, over restarts too. Other clients of the gate go on.',
  flags: { why: { summary: 'what the record says of it', value: 'TEXT' }, config: configFlag },
  examples: [
    ['fairlead gate freeze', 'connectors stop at once'],
    ['fairlead gate freeze --why "INC-7: upstream overloaded"', 'the same, with its reason in the record'],
  ],
  async run(context, { flags: { why, config } }) {
    const { configs } = await import('../../extensions.ts')
    const gate = await runningGate(context, configs, config)
    const { changed } = await gate['freeze-connectors']({ why })
    context.terminal.result({ frozen: true, changed }, () => (changed ? 'the connectors are frozen' : 'they were frozen already'))
  },
})
