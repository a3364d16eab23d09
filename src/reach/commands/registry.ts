// Runs a registry: the place where peers say how they can be reached.
import { command } from '../../base/terminal/command.ts'
import { homeFlags, homeOf, passphraseOf } from '../home.ts'
import { defaultRegistryPort } from '../known-registries.ts'
import { listenAddress, listenFlags } from '../listening.ts'
import { startRegistry } from '../registry.ts'

export default command({
  summary: 'run a registry, where peers are found, and reached if there is no direct way',
  description:
    'It is also the relay for those who are registered: what it carries is encrypted from end to end. Runs until it is stopped. Its own key and its records are kept in the folder "registry" of the home, so that a restart loses nothing.',
  flags: {
    'no-relay': { summary: 'relay nothing: who has no open port is then not reached' },
    'max-places': { value: 'N', type: 'integer', default: 1_024, summary: 'registered peers that may keep a place at the relay' },
    'max-circuits': { value: 'N', type: 'integer', default: 512, summary: 'connections that are relayed at once' },
    announce: { value: 'MULTIADDR', repeat: true, summary: 'an address under which others reach it, besides its own' },
    ...listenFlags(defaultRegistryPort),
    ...homeFlags,
  },
  examples: [
    ['fairlead reach registry', 'on port 8765 of all addresses'],
    ['fairlead reach registry --port 8765 --host 127.0.0.1', 'for this machine only'],
  ],
  async run({ terminal, folders, clock, log, signal }, { flags }) {
    const { registry: folder } = homeOf({ folders }, flags)
    const listen = [listenAddress(flags.host, flags.port)]
    const relay = flags['no-relay'] ? false : { maxPlaces: flags['max-places'], maxCircuits: flags['max-circuits'] }
    const registry = await startRegistry(
      { clock, log },
      { folder, listen, announce: flags.announce ?? [], passphrase: passphraseOf(flags), relay },
    )
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
