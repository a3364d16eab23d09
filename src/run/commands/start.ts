// Starts a service that was stopped: the definition says so, and its containers run.
import { command } from '../../base/terminal/command.ts'
import { setActive } from '../cli/set-active.ts'

export default command({
  summary: 'start a service that was stopped: write it into the definition, and start its containers',
  description:
    'Writes `active = true` into the definition on this machine, if there is one, with all else as it is, and then tells the node.',
  args: { service: { summary: 'the service' } },
  examples: [['fairlead run start metacrypt', 'all its components']],
  run: (context, { args }) => setActive(context, args.service, true),
})
