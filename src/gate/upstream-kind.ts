// What a kind of upstream is: the setting that chooses it, and how a transport is made of the settings. One file per kind in upstreams/.
import type { z } from 'zod'
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { Secret } from '../kernel/secret.ts'
import type { Credential } from '../base/config/credential.ts'
import type { HttpClient } from '../base/http/client.ts'
import type { Guard } from '../base/supervise/guard.ts'
import type { WireLimits } from '../base/wire/walk.ts'
import type { Wire } from '../base/wire/wire.ts'
import type config from './config.ts'
import type { Transport } from './upstream.ts'

export type GateConfig = z.output<typeof config>
export type UpstreamConfig = GateConfig['upstreams'][string]

/** A port: opens a tunnel to a server that a peer serves, under the identity of this node. It is the caller's to close. */
export type DialPeer = (asked: {
  /** A whole id. */
  readonly peer: string
  /** Multiaddrs; none: it is looked for. */
  readonly addresses: readonly string[]
  readonly limits: WireLimits
}) => Promise<Wire>

/** What the gate offers to every kind. */
export type UpstreamKit = {
  readonly clock: Clock
  readonly log: Log
  readonly guard: Guard
  readonly client: HttpClient
  readonly limits: WireLimits
  readonly env: Readonly<Record<string, string | undefined>>
  /** Absent where there is no identity to reach peers with. */
  readonly dialPeer?: DialPeer
  /** A path of the configuration: a relative one starts from the configuration's folder. */
  pathOf(path: string): string
  reveal(value: Credential): Promise<Secret>
}

export type UpstreamKind = {
  readonly key: 'command' | 'url' | 'sse' | 'peer' | 'socket'
  transport(kit: UpstreamKit, name: string, settings: UpstreamConfig): Promise<Transport>
}
