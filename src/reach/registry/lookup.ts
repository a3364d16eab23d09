// Questions to a registry from a process that listens nowhere, under an identity made for the moment: asking needs no wallet, and tells nothing of it.
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { createPeerHost } from '../../base/peer/host/host.ts'
import type { ProxyFor } from '../../base/peer/proxy.ts'
import type { KnownRegistries, Server } from './known-registries.ts'
import { type RegistryClient, connectRegistry } from './client.ts'

export type LookupNeeds = { readonly clock: Clock; readonly log: Log; readonly known: KnownRegistries; readonly proxyFor: ProxyFor }

/** Connects, asks, and leaves nothing behind; faults of `connectRegistry` and of the question. */
export async function askRegistry<Answer>(
  { clock, log, known, proxyFor }: LookupNeeds,
  server: Server,
  ask: (registry: RegistryClient) => Promise<Answer>,
  signal?: AbortSignal,
): Promise<Answer> {
  const host = await createPeerHost({ identity: createIdentity(), clock, log, proxyFor }, { listen: [] })
  try {
    return await ask(await connectRegistry({ host, clock, known }, server, signal))
  } finally {
    await host.close()
  }
}
