// One identity at work: a host that others dial, the sessions of those it authorizes, and a card at the registry that stays true.
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { Wallet } from '../base/identity/wallet.ts'
import { createPeerHost } from '../base/peer/host.ts'
import type { Wire } from '../base/wire/wire.ts'
import type { AuthorizedPeers } from './authorized-peers.ts'
import { knownRegistries, parseServer } from './known-registries.ts'
import { servePeers } from './peer-service.ts'
import type { ProvedSession } from './preamble.ts'
import { keepRegistered } from './registration.ts'

export type PeerNodeNeeds = {
  readonly wallet: Wallet
  readonly authorized: AuthorizedPeers
  /** What a new session of an authorized peer is joined to. */
  readonly open: (session: ProvedSession) => Wire
  readonly clock: Clock
  readonly log: Log
}

export type PeerNodeSettings = {
  /** Multiaddrs. */
  readonly listen: readonly string[]
  readonly announce?: readonly string[]
  /** `HOST[:PORT]`; by default the last one registered with, and none when there is none. */
  readonly server?: string | undefined
  /** How long a session that was cut may come back; 5 min by default. */
  readonly keepMs?: number
  /** The file of known registries. */
  readonly registries: string
}

export interface PeerNode {
  readonly peerId: string
  addresses(): readonly string[]
  /** Where our card is kept, whether it is there yet or not. */
  readonly registry: string | undefined
  close(): Promise<void>
}

/** Listens, serves and registers; faults of `createPeerHost` and `parseServer`. A registry that does not answer is no failure: it is tried again. */
export async function startPeerNode(
  { wallet, authorized, open, clock, log }: PeerNodeNeeds,
  settings: PeerNodeSettings,
): Promise<PeerNode> {
  const { identity, name } = wallet
  const known = knownRegistries(settings.registries)
  const server = settings.server === undefined ? known.last() : parseServer(settings.server)
  const host = await createPeerHost(
    { identity, clock, log },
    { listen: settings.listen, ...(settings.announce ? { announce: settings.announce } : {}) },
  )
  const service = servePeers({ host, authorized, open, clock, log }, settings.keepMs === undefined ? {} : { keepMs: settings.keepMs })
  const registration = server && keepRegistered({ identity, host, clock, log, known }, { name, server })
  return {
    peerId: host.peerId,
    addresses: () => host.addresses(),
    registry: registration?.server,
    async close() {
      await Promise.all([registration?.close(), service.close()])
      await host.close()
    },
  }
}
