// Keeps a peer's card at its registry true: published at once, renewed long before it ends or when an address changes, withdrawn at the end; and keeps a place at
// that registry as a relay, for those who cannot reach us directly.
import { Fault, asFault } from '../../kernel/fault.ts'
import { type Clock, deadline } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { randomFraction } from '../../kernel/random.ts'
import type { Identity } from '../../base/identity/identity.ts'
import { isLoopback, isRelayed } from '../../base/peer/address.ts'
import type { OwnHost } from '../../base/peer/host/host.ts'
import type { Place } from '../../base/peer/relay/place.ts'
import { type KnownRegistries, type Server, serverAddress, serverText } from './known-registries.ts'
import { maxCardAddresses, signCard } from '../node/peer-card.ts'
import { maxCardTtlMs } from './book.ts'
import { type RegistryClient, connectRegistry } from './client.ts'
import type { Statement } from '../succession/statement.ts'

/** A card with addresses lasts so long unless its owner renews it. */
export const cardTtlMs = 3_600_000
/** A card without addresses only says that the peer exists. */
export const bareCardTtlMs = maxCardTtlMs

/** While somebody listens at a card's addresses, it is renewed so often. */
export const renewalMs = 300_000

export type Publication = { readonly name: string; readonly addresses: readonly string[]; readonly expiresAt: number }

/** Signs and publishes a card, once more with a later sequence when another process of the same identity was faster. Resolves as `RegistryClient.publish` does. */
export async function publishCard(
  client: RegistryClient,
  identity: Identity,
  clock: Clock,
  card: Publication,
): Promise<{ readonly aheadMs: number }> {
  const addresses = card.addresses.slice(0, maxCardAddresses)
  try {
    return await client.publish(await signCard(identity, { ...card, addresses, sequence: clock.now() }))
  } catch (error) {
    const known = error instanceof Fault && error.code === 'reach.registry_refused' ? error.details['known'] : undefined
    if (typeof known !== 'number') throw error
    return client.publish(await signCard(identity, { ...card, addresses, sequence: Math.max(clock.now(), known + 1) }))
  }
}

/** Makes known at the registry what it does not know yet; statements stay there, so that each is announced once. Fault: `reach.registry_refused`. */
export async function announceNew(client: RegistryClient, statements: readonly Statement[]): Promise<void> {
  if (statements.length === 0) return
  const known = await client.statements(statements.map(({ peerId }) => peerId))
  for (const { peerId, says, signed } of statements)
    if (!known.some((one) => one.peerId === peerId && (one.says === says || one.says === 'revoked'))) await client.announce(signed)
}

export type RegistrationNeeds = {
  readonly identity: Identity
  readonly host: OwnHost
  readonly clock: Clock
  readonly log: Log
  readonly known: KnownRegistries
  /** What our earlier keys signed when they were rotated: made known at the registry, too. */
  readonly own?: () => readonly Statement[]
}

export type RegistrationSettings = {
  readonly name: string
  readonly server: Server
  /** 5 min by default; after a failure 1 s, doubled up to this. */
  readonly renewEveryMs?: number
}

export interface Registration {
  /** The registry. */
  readonly server: string
  /** Resolves when it was tried once, with whatever result. */
  readonly tried: Promise<void>
  /** Publishes a card without addresses, for at most 2 s, and stops. */
  close(): Promise<void>
}

/**
 * What is worth telling, at most a card's fill: loopback only when there is nothing else, for at another machine it would lead to somebody else; and the ways
 * through relays, however many others there are.
 */
export function toldAddresses(addresses: readonly string[]): readonly string[] {
  const relayed = addresses.filter(isRelayed)
  const direct = addresses.filter((address) => !isRelayed(address))
  const far = direct.filter((address) => !isLoopback(address))
  return [
    ...(far.length > 0 ? far : direct).slice(0, maxCardAddresses - Math.min(relayed.length, maxRelayed)),
    ...relayed.slice(0, maxRelayed),
  ]
}

const maxRelayed = 4
const lookEveryMs = 1_000
const firstRetryMs = 1_000
const farewellMs = 2_000

/** Begins at once and never fails: what goes wrong is logged and tried again. */
export function keepRegistered(needs: RegistrationNeeds, settings: RegistrationSettings): Registration {
  const { identity, host, clock, log, known, own = () => [] } = needs
  const { name, server, renewEveryMs = renewalMs } = settings
  const at = serverText(server)
  const stop = new AbortController()
  const { promise: tried, resolve: noteTry } = Promise.withResolvers<void>()
  let isPublished = false
  let place: Place | undefined
  let relay: string | undefined

  /** The registry is the relay, too, whoever it is by now. */
  const keepPlace = (registry: string): void => {
    if (relay === registry) return
    place?.close()
    relay = registry
    place = host.keepPlace(registry, serverAddress(server))
  }
  /** Whether a direct way leads to us is for somebody else to say; an older registry does not know the question. */
  const prove = async (client: RegistryClient): Promise<void> => {
    try {
      log.debug('reach.proved', { registry: at, addresses: await client.prove() })
    } catch (error) {
      log.debug('reach.not_proved', { registry: at, problem: asFault(error).message })
    }
  }
  const publish = async (addresses: readonly string[], ttlMs: number, signal: AbortSignal): Promise<void> => {
    const client = await connectRegistry({ host, clock, known }, server, signal)
    let proving: Promise<void> | undefined
    try {
      await announceNew(client, own()).catch((error: unknown) =>
        log.warn('reach.not_announced', { registry: at, problem: asFault(error).message }),
      )
      const { aheadMs } = await publishCard(client, identity, clock, { name, addresses, expiresAt: clock.now() + ttlMs })
      if (!stop.signal.aborted) keepPlace(client.peerId)
      if (addresses.some((address) => !isRelayed(address))) proving = prove(client)
      if (Math.abs(aheadMs) > 60_000) log.warn('reach.clock', { registry: at, aheadMs })
    } finally {
      if (proving) void proving.then(() => client.close())
      else await client.close()
    }
  }
  /** Waits for the time to renew, or until our addresses are others than `published`. */
  const settle = async (published: string): Promise<void> => {
    const until = clock.mono() + renewEveryMs * (0.9 + randomFraction() / 5)
    while (clock.mono() < until && toldAddresses(host.addresses()).join() === published)
      await clock.wait(Math.min(lookEveryMs, renewEveryMs), stop.signal)
  }
  const run = async (): Promise<void> => {
    let retryMs = firstRetryMs
    while (!stop.signal.aborted) {
      const addresses = toldAddresses(host.addresses())
      try {
        await publish(addresses, cardTtlMs, stop.signal)
        if (!isPublished) log.info('reach.registered', { registry: at, addresses })
        isPublished = true
        retryMs = firstRetryMs
        noteTry()
        await settle(addresses.join())
      } catch (error) {
        noteTry()
        if (stop.signal.aborted) return
        isPublished = false
        const { code, message, hint } = asFault(error)
        log.warn('reach.not_registered', { registry: at, code, message, hint, retryMs })
        await clock.wait(retryMs, stop.signal).catch(() => {})
        retryMs = Math.min(retryMs * 2, renewEveryMs)
      }
    }
  }
  const running = run()

  return {
    server: at,
    tried,
    async close() {
      stop.abort(new Error('closed'))
      await running
      place?.close()
      if (!isPublished) return
      isPublished = false
      await publish([], bareCardTtlMs, deadline(clock, farewellMs)).catch(() => {}) // the card ends by itself
    },
  }
}
