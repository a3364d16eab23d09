// Shows the messages that were received and are still kept, after a look into the mailbox at the registry.
import { command } from '../../base/terminal/command.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { homeFlags, homeOf, openWallet } from '../home.ts'
import { damagedMessages, messagesAfter } from '../message/inbox.ts'
import { proxiesOf } from '../../base/peer/proxy.ts'
import { knownRegistries, parseServer } from '../registry/known-registries.ts'
import { messageText, messageValue } from '../shown.ts'
import { type UnreadableItem, unreadableItems } from '../mailbox/unreadable.ts'

export default command({
  summary: 'show the messages that were received',
  description:
    'Oldest first. The newest 1,000 are kept. What lies in the mailbox at the registry is fetched first, unless "listen", "agent" or "mcp-serve" runs, which does so all the time; if that cannot be done, it is said, and what is here is shown.',
  flags: {
    limit: { value: 'COUNT', type: 'integer', default: 20, summary: 'how many of the newest to show' },
    server: { value: 'HOST[:PORT]', summary: 'the registry with the mailbox; the last one registered with by default' },
    'no-fetch': { summary: 'show what is here, and ask no registry: needs no passphrase' },
    ...homeFlags,
  },
  examples: [
    ['fairlead reach inbox', 'the newest 20'],
    ['fairlead reach inbox --limit 1000 --no-fetch --json', 'all that are here, as JSON'],
  ],
  async run(context, { flags }) {
    const { env, terminal, folders, clock, log, signal } = context
    const home = homeOf({ folders }, flags)
    const server = flags.server === undefined ? knownRegistries(home.registries).last() : parseServer(flags.server)
    if (server && !flags['no-fetch']) {
      const { tryToVisitMailbox } = await import('../mailbox/visit.ts') // it loads the network
      const identity = async () => (await openWallet(context, flags)).identity
      const quiet = { ...log, info() {} } // what came is shown below
      const needs = { home, identity, clock, log: quiet, proxyFor: proxiesOf(env) }
      await tryToVisitMailbox(needs, server, signal, (text) => terminal.note(text))
    }
    const all = messagesAfter(home.inbox)
    const messages = all.slice(Math.max(0, all.length - Math.max(0, flags.limit))).map(({ message }) => message)
    const damaged = damagedMessages(home.inbox)
    if (damaged.length > 0) terminal.note(`not readable, in ${home.inbox}: ${damaged.slice(0, 20).join(', ')}`)
    const unreadable = unreadableItems(home.unreadable)
    terminal.result({ kept: all.length, damaged, messages: messages.map(messageValue), unreadable: unreadable.map(unreadableValue) }, () =>
      [
        all.length === 0 ? 'no messages' : messages.map(messageText).join('\n'),
        ...(unreadable.length === 0 ? [] : [`unreadable, kept in ${home.unreadable}:`, ...unreadable.map(unreadableText)]),
      ].join('\n'),
    )
  },
})

type Shown = UnreadableItem & { readonly file: string }

function unreadableValue({ file, id, cameAt, code, problem, sealed }: Shown) {
  return { file, id, cameAt: new Date(cameAt).toISOString(), sizeBytes: Buffer.byteLength(sealed, 'base64'), code, problem }
}

function unreadableText(item: Shown): string {
  const { file, cameAt, sizeBytes, problem } = unreadableValue(item)
  return `  ${file}  ${cameAt}  ${sizeBytes} bytes: ${visibleText(problem)}`
}
