// Makes this identity known at a registry, and that registry the one to be asked from now on.
import { command } from '../../base/terminal/command.ts'
import { dialingHost, homeFlags, homeOf, openWallet } from '../home.ts'
import { knownRegistries, serverText } from '../registry/known-registries.ts'
import { type Publication, announceNew, bareCardTtlMs, cardTtlMs, publishCard, toldAddresses } from '../registry/registration.ts'
import { type KnownPeer, connectRegistry } from '../registry/client.ts'
import { succession } from '../succession/teller.ts'

export default command({
  summary: 'make this identity known at a registry',
  description:
    'The registry’s key is pinned when it is first met. A process that listens ("reach mcp-serve") publishes its addresses by itself and keeps them fresh; this command publishes them once more, as they are now; when nothing listens here, it leaves those that are there.',
  flags: {
    server: {
      value: 'HOST[:PORT]',
      summary: 'the registry (port 8765 by default); the last one registered with by default, else localhost:8765',
    },
    ...homeFlags,
  },
  examples: [
    ['fairlead reach register --server registry.example.org', 'known at that registry, which is remembered'],
    ['fairlead reach register', 'once more at the same'],
  ],
  async run(context, { flags }) {
    const { terminal, clock, signal } = context
    const wallet = await openWallet(context, flags)
    const { name, identity } = wallet
    const home = homeOf(context, flags)
    const known = knownRegistries(home.registries)
    const server = known.choose(flags.server)
    const host = await dialingHost(context, flags, wallet)
    try {
      const isNew = known.keyOf(server) === undefined
      const registry = await connectRegistry({ host, clock, known }, server, signal)
      await announceNew(registry, succession(home.succession, identity.peerId))
      const [ours] = await registry.lookup(identity.peerId)
      const { addresses, expiresAt } = publication(toldAddresses(host.addresses()), ours, clock.now())
      const { aheadMs } = await publishCard(registry, identity, clock, { name, addresses, expiresAt })
      known.remember(server)
      if (isNew) terminal.note(`the key of ${serverText(server)} is now pinned: ${registry.peerId}`)
      if (Math.abs(aheadMs) > 60_000)
        terminal.note(`this clock and the registry’s differ by ${Math.round(Math.abs(aheadMs) / 1000)} s: set both right`)
      const result = {
        registry: serverText(server),
        registryPeerId: registry.peerId,
        name,
        peerId: identity.peerId,
        addresses,
        expiresAt: new Date(expiresAt).toISOString(),
      }
      terminal.result(
        result,
        () =>
          `${name} (${identity.peerId}) is registered at ${serverText(server)}${addresses.length > 0 ? `, reachable at ${addresses.join(', ')}` : ''}`,
      )
    } finally {
      await host.close()
    }
  },
})

/** Where this identity listens on this machine now; else what its card says: it may listen on another. */
function publication(here: readonly string[], known: KnownPeer | undefined, now: number): Omit<Publication, 'name'> {
  if (here.length > 0) return { addresses: here, expiresAt: now + cardTtlMs }
  if (known && known.addresses.length > 0) return known
  return { addresses: [], expiresAt: now + bareCardTtlMs }
}
