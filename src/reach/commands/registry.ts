// Runs a registry: the place where peers say how they can be reached.
import { type Context, command } from '../../base/terminal/command.ts'
import { dirname, join } from 'node:path'
import { type ClusterConfig, type OpenShared, sharedBy } from '../../base/cluster/open.ts'
import { loadMachineConfig } from '../../base/config/machine.ts'
import { readWalletCard } from '../../base/identity/wallet.ts'
import { proxiesOf } from '../../base/peer/proxy.ts'
import { fault } from '../faults.ts'
import { homeFlags, homeOf } from '../home.ts'
import { defaultRegistryPort } from '../registry/known-registries.ts'
import { listenAddresses, listenFlags } from '../node/listening.ts'
import { namedPassphrase, passphraseOr } from '../passphrase.ts'
import { type MailboxSettings, startRegistry } from '../registry/registry.ts'

export default command({
  summary: 'run a registry, where peers are found, and reached if there is no direct way',
  description:
    'It keeps sealed messages for those who are away, and is the relay for those who are registered: what it keeps and carries is encrypted from end to end, and nobody here can read it. Runs until it is stopped. Its own key, its records and the mailboxes are kept in the folder "registry" of the home, so that a restart loses nothing.',
  flags: {
    'no-relay': { summary: 'relay nothing: who has no open port is then not reached' },
    'max-places': { value: 'N', type: 'integer', default: 1_024, summary: 'registered peers that may keep a place at the relay' },
    'max-circuits': { value: 'N', type: 'integer', default: 512, summary: 'connections that are relayed at once' },
    dht: { summary: 'take part in the distributed hash table of peers, so that others may begin here' },
    announce: { value: 'MULTIADDR', repeat: true, summary: 'an address under which others reach it, besides its own' },
    'mailbox-days': { value: 'DAYS', type: 'integer', default: 7, summary: 'how long a sealed message waits for its recipient: at most 7' },
    config: { value: 'FILE', summary: 'a file with a table [cluster]: all registries that name the same cluster know the same peers' },
    'mailbox-mib': { value: 'MIB', type: 'integer', default: 256, summary: 'for all mailboxes together; 0 for none' },
    ...listenFlags(defaultRegistryPort),
    ...homeFlags,
  },
  examples: [
    ['fairlead reach registry', 'on port 8765 of all addresses'],
    ['fairlead reach registry --port 8765 --host 127.0.0.1', 'for this machine only'],
    ['fairlead reach registry --config ./fairlead.toml', 'one of several, with the cluster that this file names'],
  ],
  async run(context, { flags }) {
    const { env, terminal, folders, clock, log, signal } = context
    const { registry: folder } = homeOf({ folders }, flags)
    const listen = listenAddresses(flags)
    const isSealed = readWalletCard(join(folder, 'wallet.json'))?.isSealed ?? false
    const passphrase = isSealed ? await passphraseOr(context, flags, 'passphrase of the registry') : namedPassphrase(context, flags)
    const relay = flags['no-relay'] ? false : { maxPlaces: flags['max-places'], maxCircuits: flags['max-circuits'] }
    const registry = await startRegistry(
      { clock, log, proxyFor: proxiesOf(env), openShared: await clusterOf(context, flags.config) },
      {
        folder,
        listen,
        announce: flags.announce ?? [],
        passphrase,
        mailbox: mailboxOf(flags),
        relay,
        isDhtNode: flags.dht,
      },
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

async function clusterOf({ clock, log, env, folders }: Context, file: string | undefined): Promise<OpenShared | undefined> {
  if (file === undefined) return undefined
  const { configs } = await import('../../extensions.ts')
  const { path, tables } = await loadMachineConfig(configs, folders.config, file)
  if (tables['cluster'] === undefined) throw fault.no_cluster({ path })
  return sharedBy({ clock, log, env, folder: dirname(path) }, tables['cluster'] as ClusterConfig)
}

function mailboxOf(flags: { 'mailbox-days': number; 'mailbox-mib': number }): MailboxSettings {
  const { 'mailbox-days': days, 'mailbox-mib': mib } = flags
  if (days < 1 || days > 7) throw fault.mailbox_days({ days })
  return { keepMs: days * 24 * 3_600_000, maxBytes: Math.max(0, mib) * (1 << 20) }
}
