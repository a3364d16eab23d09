// Makes a link to the dashboard of a running gate, for a browser to be signed in by.
import { command } from '../../base/terminal/command.ts'
import { configFlag, runningGate } from '../client.ts'

export default command({
  summary: 'make a link that signs a browser in to the dashboard, once',
  description:
    'The link is good for ten minutes, and for one use; the browser then stays signed in for twelve hours. It is for principals with dashboard = "observe" or "change" in the gate\'s configuration.',
  args: { principal: { summary: 'who is signed in by it; may be left out where only one may use the dashboard', optional: true } },
  flags: { config: configFlag },
  examples: [
    ['fairlead gate sign-in', 'a link for the only one who may use the dashboard'],
    ['fairlead gate sign-in alice', 'a link for alice'],
  ],
  async run(context, { args: { principal }, flags: { config } }) {
    const { configs } = await import('../../extensions.ts')
    const gate = await runningGate(context, configs, config)
    const link = await gate['sign-in'](principal === undefined ? {} : { principal })
    context.terminal.result(link, () => link.url)
  },
})
