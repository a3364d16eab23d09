// Shows the messages that were received and are still kept.
import { command } from '../../base/terminal/command.ts'
import { homeFlags, homeOf } from '../home.ts'
import { messagesAfter, unreadableIn } from '../inbox.ts'
import { messageText, messageValue } from '../shown.ts'

export default command({
  summary: 'show the messages that were received',
  description: 'Oldest first. The newest 1,000 are kept. Needs no passphrase and no other process.',
  flags: {
    limit: { value: 'COUNT', type: 'integer', default: 20, summary: 'how many of the newest to show' },
    ...homeFlags,
  },
  examples: [
    ['fairlead reach inbox', 'the newest 20'],
    ['fairlead reach inbox --limit 1000 --json', 'all that are kept, as JSON'],
  ],
  async run({ terminal, folders }, { flags }) {
    const { inbox } = homeOf({ folders }, flags)
    const all = messagesAfter(inbox)
    const unreadable = unreadableIn(inbox)
    if (unreadable.length > 0) terminal.note(`not readable: ${unreadable.slice(0, 20).join(', ')}`)
    const messages = all.slice(Math.max(0, all.length - Math.max(0, flags.limit))).map(({ message }) => message)
    terminal.result({ kept: all.length, unreadable, messages: messages.map(messageValue) }, () =>
      all.length === 0 ? 'no messages' : messages.map(messageText).join('\n'),
    )
  },
})
