// Tunnels to one peer, one after the other, for as long as its key and ours speak: when either was rotated or revoked meanwhile, the tunnel ends, and the next one
// is opened with what is known then.
import { asFault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { isPeerId } from '../../base/identity/identity.ts'
import { readWalletCard } from '../../base/identity/wallet.ts'
import type { PeerStream } from '../../base/peer/host/host.ts'
import type { SharedHost } from '../../base/peer/host/shared-host.ts'
import { connectTunnel } from '../../base/peer/tunnel/client.ts'
import { type Tunnel, tunnelProtocol } from '../../base/peer/tunnel/tunnel.ts'
import type { ScanLimits } from '../../base/wire/walk.ts'
import type { Search } from '../finding/as-found.ts'
import { type Way, inRunbookWords, peerDial } from '../finding/find-peer.ts'
import { isAboutTheKey } from '../finding/first-way.ts'
import type { Home } from '../home.ts'
import { knownAddresses } from '../finding/known-addresses.ts'
import { type Server, knownRegistries } from '../registry/known-registries.ts'
import { knownStatements } from '../succession/known-statements.ts'
import type { RegistryClient } from '../registry/client.ts'
import { watchStatements } from '../succession/statement-watch.ts'
import { succession, tellSuccession } from '../succession/teller.ts'

export type PeerConnectionNeeds = {
  readonly home: Home
  /** Opens a host of the identity that is in the wallet then. */
  readonly host: () => Promise<SharedHost>
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
}

export type PeerConnectionSettings = {
  /** A whole id, the beginning of one, or a name. */
  readonly peer: string
  readonly addresses: readonly string[]
  /** `HOST[:PORT]` of the registry. */
  readonly server: string | undefined
  /** Through the relay, even if there is a direct way. */
  readonly isRelayed: boolean
  /** Where else the peer is looked for, through the host that is there then. */
  readonly searches: (host: SharedHost, server: Server) => readonly Search[]
  readonly followRotations: boolean
  readonly limits: ScanLimits
}

export interface PeerConnection {
  /** A new tunnel. Faults of `peerDial` and `connectTunnel`, in the runbook's words. */
  open(): Promise<Tunnel>
  close(): Promise<void>
}

/** How long the peer may take to learn from us that we are one it knows by an earlier key, before it is asked again. */
const introductionMs = 1_500

export async function connectPeer(needs: PeerConnectionNeeds, settings: PeerConnectionSettings): Promise<PeerConnection> {
  const { home, clock, log, signal } = needs
  const { peer, addresses, server, isRelayed, searches, followRotations, limits } = settings
  const known = knownRegistries(home.registries)
  const at = known.choose(server) // what names no registry is said now
  const mayAsk = isPeerId(peer) && (server !== undefined || known.last() !== undefined)
  const statements = knownStatements(home.statements)
  const ours = () => succession(home.succession, host.peerId)
  const newHost = async (): Promise<SharedHost> => {
    const made = await needs.host()
    tellSuccession({ host: made, clock }, ours)
    return made
  }
  let host = await newHost()
  let tunnel: Tunnel | undefined

  const registry = async (signal?: AbortSignal): Promise<RegistryClient> => {
    const { connectRegistry } = await import('../registry/client.ts')
    return connectRegistry({ host, clock, known }, at, signal)
  }
  const connect = async (): Promise<Tunnel> => {
    const card = readWalletCard(home.wallet)
    if (card && card.peerId !== host.peerId) {
      await host.close()
      host = await newHost()
    }
    const followed = (from: string, to: string): void => log.warn('reach.rotation_followed', { from, to })
    const dial = peerDial(
      { host, clock, known: knownAddresses(home.addresses), statements, registry, followed },
      { peer, addresses, protocol: tunnelProtocol, searches: searches(host, at), followRotations },
    )
    let own: Tunnel | undefined
    /** A session belongs to one key: with another in its place it does not come back, and the next one is opened instead. */
    const sameKey =
      (way: Way) =>
      async (signal: AbortSignal, protocols: readonly string[]): Promise<PeerStream> => {
        try {
          const stream = await dial(signal, way, protocols)
          if (own && stream.remotePeer !== own.remotePeer) void own.close()
          return stream
        } catch (error) {
          if (isAboutTheKey(asFault(error))) void own?.close()
          throw error
        }
      }
    const opens = isRelayed ? { open: sameKey('relayed') } : { open: sameKey('any'), openDirect: sameKey('direct') }
    own = await connectTunnel({ ...opens, clock, log }, { limits })
    return own
  }
  let watch: { close(): Promise<void> } | undefined
  const watchKey = (): typeof watch =>
    watchStatements(
      { host: { dial: (...words) => host.dial(...words) }, clock, log, known, statements },
      {
        server: at,
        peers: () => [peer],
        onNews: () => void (tunnel && statements.standing(tunnel.remotePeer).is === 'revoked' && tunnel.close()),
      },
    )

  return {
    async open() {
      try {
        tunnel = await connect().catch(async (error: unknown) => {
          const { code, details } = asFault(error)
          if (code !== 'peer.refused' || details['code'] !== 'denied' || ours().length === 0) throw error
          await clock.wait(introductionMs, signal)
          return connect()
        })
        if (mayAsk) watch ??= watchKey()
        return tunnel
      } catch (error) {
        throw inRunbookWords(asFault(error), peer)
      }
    },
    async close() {
      await Promise.all([watch?.close(), host.close()])
    },
  }
}
