// A rotation's way to the registry: the statements of the earlier keys, and a first card of the new one, which any later card replaces.
import { Fault } from '../../kernel/fault.ts'
import { type Clock, deadline } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { createPeerHost } from '../../base/peer/host/host.ts'
import type { ProxyFor } from '../../base/peer/proxy.ts'
import type { KnownRegistries, Server } from '../registry/known-registries.ts'
import { askRegistry } from '../registry/lookup.ts'
import { signCard } from '../node/peer-card.ts'
import { handOverMailbox } from '../mailbox/hand-over.ts'
import { announceNew, bareCardTtlMs } from '../registry/registration.ts'
import { connectRegistry } from '../registry/client.ts'
import type { RotationRegistry } from './rotation.ts'

export type RotationRegistryNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly known: KnownRegistries
  readonly proxyFor: ProxyFor
  readonly signal: AbortSignal
}

const handOverMs = 20_000

/** Faults of `connectRegistry`, `reach.registry_refused`. */
export function rotationRegistry({ clock, log, known, proxyFor, signal }: RotationRegistryNeeds, server: Server): RotationRegistry {
  return {
    async knows({ peerId, signed }) {
      const told = await askRegistry({ clock, log, known, proxyFor }, server, (registry) => registry.statements([peerId]), signal)
      const isSo = (bytes: Uint8Array): boolean => Buffer.compare(bytes, signed) === 0
      return told.some((one) => one.peerId === peerId && (one.says === 'revoked' || isSo(one.signed)))
    },
    handOver: async (old, next) => {
      const count = await handOverMailbox({ clock, log, known }, server, { old, next }, deadline(clock, handOverMs, signal))
      if (count > 0) log.info('reach.mailbox.handed_over', { from: old.peerId, to: next, items: count })
    },
    async publish({ name, identity }, own) {
      const host = await createPeerHost({ identity, clock, log, proxyFor }, { listen: [] })
      try {
        const registry = await connectRegistry({ host, clock, known }, server, signal)
        await announceNew(registry, own)
        const sequence = own.at(-1)?.at ?? clock.now() // a process that took up the new identity already may have published a later card, with addresses
        await registry.publish(await signCard(identity, { name, addresses: [], sequence, expiresAt: clock.now() + bareCardTtlMs }))
      } catch (error) {
        if (!(error instanceof Fault && error.details['code'] === 'reach.record_too_old')) throw error
      } finally {
        await host.close()
      }
    },
  }
}
