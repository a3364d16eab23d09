// Runs a registry: the place where peers say how they can be reached.
import { command } from '../../base/terminal/command.ts'
import { join } from 'node:path'
import { readWalletCard } from '../../base/identity/wallet.ts'
import { homeFlags, homeOf } from '../home.ts'
import { defaultRegistryPort } from '../known-registries.ts'
import { listenAddress, listenFlags } from '../listening.ts'
import { namedPassphrase, passphraseOr } from '../passphrase.ts'
import { startRegistry } from '../registry.ts'

export default command({
  summary: 'run a registry, where peers are found',
  description:
    'Runs until it is stopped. Its own key and its records are kept in the folder "registry" of the home, so that a restart loses nothing.',
  flags: {
    announce: { value: 'MULTIADDR', repeat: true, summary: 'an address under which others reach it, besides its own' },
    ...listenFlags(defaultRegistryPort),
    ...homeFlags,
  },
  examples: [
    ['fairlead reach registry', 'on port 8765 of all addresses'],
    ['fairlead reach registry --port 8765 --host 127.0.0.1', 'for this machine only'],
  ],
  async run(context, { flags }) {
    const { terminal, folders, clock, log, signal } = context
    const { registry: folder } = homeOf({ folders }, flags)
    const listen = [listenAddress(flags.host, flags.port)]
    const isSealed = readWalletCard(join(folder, 'wallet.json'))?.isSealed ?? false
    const passphrase = isSealed ? await passphraseOr(context, flags, 'passphrase of the registry') : namedPassphrase(context, flags)
    const registry = await startRegistry({ clock, log }, { folder, listen, announce: flags.announce ?? [], passphrase })
    try {
      const addresses = registry.addresses()
      terminal.result({ peerId: registry.peerId, addresses }, () =>
        [`registry ${registry.peerId}`, ...addresses.map((address) => `  ${address}`)].join('\n'),
      )
      if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    } finally {
      await registry.close()
    }
  },
})
