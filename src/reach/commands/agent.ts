// Runs the host of this identity and nothing else: one process that keeps the port, the registration and the connections which the others share.
import { command } from '../../base/terminal/command.ts'
import { homeFlags, homeOf, openWallet } from '../home.ts'
import { defaultPeerPort, findableFlags, listenAddress, listenFlags } from '../listening.ts'
import { openNodeHost } from '../peer-node.ts'

export default command({
  summary: 'keep this identity reachable: its port, its registration, its connections',
  description:
    'Every other command of this identity on this machine shares it through a socket in the wallet’s folder, and then needs no passphrase to connect. Without it the first "mcp-serve" does the same. When it ends, the next one that listens takes its place.',
  flags: {
    server: { value: 'HOST[:PORT]', summary: 'the registry to be known at; the last one registered with by default' },
    announce: { value: 'MULTIADDR', repeat: true, summary: 'an address under which others reach this machine, besides its own' },
    ...listenFlags(defaultPeerPort),
    ...findableFlags,
    ...homeFlags,
  },
  examples: [['fairlead reach agent', 'until it is stopped']],
  async run(context, { flags }) {
    const { terminal, folders, clock, log, signal } = context
    const wallet = await openWallet(context, flags)
    const settings = {
      home: homeOf({ folders }, flags),
      listen: [listenAddress(flags.host, flags.port)],
      announce: flags.announce ?? [],
      server: flags.server,
      isLanAnswered: !flags['no-lan'],
      dhtNodes: flags.dht || flags['dht-node'].length > 0 ? flags['dht-node'] : undefined,
    }
    const { host, registry } = await openNodeHost({ wallet, clock, log }, settings)
    try {
      terminal.result({ peerId: host.peerId, addresses: host.addresses(), registry, role: host.role }, () =>
        [
          `${wallet.name} (${host.peerId})${host.role === 'attached' ? ' has a host already: this one stands by' : ''}`,
          ...host.addresses().map((address) => `  ${address}`),
          `registry: ${registry ?? 'none yet: fairlead reach register --server HOST'}`,
        ].join('\n'),
      )
      if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    } finally {
      await host.close()
    }
  },
})
