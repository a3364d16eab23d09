// Stops a service for good: the definition says so, and its containers end.
import { command } from '../../base/terminal/command.ts'
import { setActive } from '../cli/set-active.ts'

export default command({
  summary: 'stop a service for good: write it into the definition, and end its containers',
  description:
    'Writes `active = false` into the definition on this machine, if there is one, with all else as it is, and then tells the node.',
  args: { service: { summary: 'the service' } },
  examples: [['fairlead run stop metacrypt', 'and it stays stopped, over restarts of agent and machine']],
  run: (context, { args }) => setActive(context, args.service, false),
})
