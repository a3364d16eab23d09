// Listens for messages and shows each as it comes.
import { type Wallet, loadWallet } from '../../base/identity/wallet.ts'
import { command } from '../../base/terminal/command.ts'
import { proxiesOf } from '../../base/peer/proxy.ts'
import { asIdentity } from '../succession/as-identity.ts'
import { homeFlags, homeOf, walletKeys } from '../home.ts'
import { endOfInbox, messagesAfter } from '../message/inbox.ts'
import { hostFlags, hostSettings } from '../node/listening.ts'
import { openNodeHost } from '../node/peer-node.ts'
import { messageText, messageValue } from '../shown.ts'

const lookEveryMs = 100

export default command({
  summary: 'listen for messages and show them as they come',
  description:
    'Shows what comes from now on, each message’s sender proved by its signature; "reach inbox" has the earlier ones. Control characters are shown, not obeyed. With --json each message is one line.',
  flags: {
    ...hostFlags,
    ...homeFlags,
  },
  examples: [
    ['fairlead reach listen', 'until it is stopped'],
    ['fairlead reach listen --json', 'one JSON object a line: first who we are, then {"message": …}'],
  ],
  async run(context, { flags }) {
    const { env, terminal, clock, log, signal } = context
    const home = homeOf(context, flags)
    const keys = walletKeys(context, flags, home.wallet)
    let settings = hostSettings(home, flags)
    let place = endOfInbox(home.inbox)
    const hear = async (wallet: Wallet, signal: AbortSignal): Promise<void> => {
      const node = await openNodeHost({ wallet, clock, log, proxyFor: proxiesOf(env) }, settings)
      const { host, registry } = node
      settings = { ...settings, listen: host.listening() } // the next identity is found at the same port
      try {
        terminal.line({ listening: { peerId: host.peerId, addresses: host.addresses(), registry } }, () =>
          [`${wallet.name} (${host.peerId}) is listening`, ...host.addresses().map((address) => `  ${address}`)].join('\n'),
        )
        while (!signal.aborted) {
          for (const { place: next, message } of messagesAfter(home.inbox, place)) {
            place = next
            terminal.line({ message: messageValue(message) }, () => messageText(message))
          }
          await clock.wait(lookEveryMs, signal).catch(() => {})
        }
      } finally {
        await node.close()
      }
    }
    await asIdentity({ clock, log, signal, open: () => loadWallet(home.wallet, keys) }, home.wallet, hear)
  },
})
