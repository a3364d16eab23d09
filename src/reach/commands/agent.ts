// Runs the host of this identity and nothing else: one process that keeps the port, the registration and the connections which the others share.
import { type Wallet, loadWallet } from '../../base/identity/wallet.ts'
import { command, stopAsked } from '../../base/terminal/command.ts'
import { proxiesOf } from '../../base/peer/proxy.ts'
import { asIdentity } from '../succession/as-identity.ts'
import { homeFlags, homeOf, walletKeys } from '../home.ts'
import { hostFlags, hostSettings } from '../node/listening.ts'
import { openNodeHost } from '../node/peer-node.ts'

export default command({
  summary: 'keep this identity reachable: its port, its registration, its connections',
  description:
    'Every other command of this identity on this machine shares it through a socket in the wallet’s folder, and then needs no passphrase to connect. Without it the first "mcp-serve" does the same. When it ends, the next one that listens takes its place.',
  flags: {
    ...hostFlags,
    ...homeFlags,
  },
  examples: [['fairlead reach agent', 'until it is stopped']],
  async run(context, { flags }) {
    const { env, terminal, clock, log, signal } = context
    const home = homeOf(context, flags)
    const keys = walletKeys(context, flags, home.wallet)
    let settings = hostSettings(home, flags)
    let isFirst = true
    const beHost = async (wallet: Wallet, signal: AbortSignal): Promise<void> => {
      const node = await openNodeHost({ wallet, clock, log, proxyFor: proxiesOf(env) }, settings)
      const { host, registry } = node
      settings = { ...settings, listen: host.listening() } // the next identity is found at the same port
      try {
        const shown = (): string =>
          [
            `${wallet.name} (${host.peerId})${host.role === 'attached' ? ' has a host already: this one stands by' : ''}`,
            ...host.addresses().map((address) => `  ${address}`),
            `registry: ${registry ?? 'none yet: fairlead reach register --server HOST'}`,
          ].join('\n')
        if (isFirst) terminal.result({ peerId: host.peerId, addresses: host.addresses(), registry, role: host.role }, shown)
        else terminal.note(shown())
        isFirst = false
        await stopAsked({ signal })
      } finally {
        await node.close()
      }
    }
    await asIdentity({ clock, log, signal, open: () => loadWallet(home.wallet, keys) }, home.wallet, beHost)
  },
})
