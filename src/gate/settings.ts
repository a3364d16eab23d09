// What a gate is made of: its folder, who may come in and do what, and the servers behind it.
import type { Rule } from '../base/access/policy.ts'
import type { Credentials } from '../base/access/principal.ts'
import type { ChildrenSettings } from './children.ts'
import type { ConnectorsSettings } from './connector/connectors.ts'
import type { HttpDoorsSettings } from './http-doors.ts'
import type { Limit } from './limit/account.ts'
import type { Configured } from './line-up.ts'
import type { SessionSettings } from './sessions.ts'

export type GateSettings = HttpDoorsSettings &
  Omit<SessionSettings, 'ttlMs'> & {
    /** Ledger, sessions and the ledger's secret live here. */
    readonly folder: string
    readonly sessionTtlMs: number
    /** How long running calls may take to end when the gate is closed. */
    readonly drainMs: number
    readonly credentials: readonly Credentials[]
    readonly rules: readonly Rule[]
    /** How often and how much may be called. */
    readonly callLimits?: readonly Limit[]
    /** How long a call waits for a person's yes, and whether the client's own user may give it. */
    readonly approvals?: { readonly timeoutMs: number; readonly mayAskClient: boolean }
    /** Where the sockets of the gate's own API are; absent: it has none. */
    readonly control?: string
    /** Servers that cost a process and run at once; `defaultChildren` when absent. */
    readonly children?: ChildrenSettings
    /** `begin`: every request is traced; `carry`, the default: those that come with a trace. */
    readonly trace?: 'carry' | 'begin'
    /** Of Fairlead, for the metrics. */
    readonly version?: string
    readonly upstreams: readonly Configured[]
    /** Others may come by themselves, so that a rule may name one that is not there. */
    readonly takesOffers: boolean
    /** A list of all upstreams waits so long for each; `defaultListWaitMs` when absent. */
    readonly listWaitMs?: number
    /** Who comes in through the socket in `folder`; undefined: there is none. */
    readonly local: string | undefined
    /** No HTTP: for a gate whose clients are all on this machine. */
    readonly isLocalOnly?: boolean
    readonly connectors: ConnectorsSettings
    /** Where the peer host hands in proved streams, and the upstream that they reach. */
    readonly peers?: { readonly socket: string; readonly upstream: string }
  }

/** What a reload may change; all else needs a new start. */
export type Changeable = Pick<
  GateSettings,
  | 'credentials'
  | 'metricsFor'
  | 'dashboardFor'
  | 'rules'
  | 'callLimits'
  | 'upstreams'
  | 'takesOffers'
  | 'door'
  | 'local'
  | 'issuers'
  | 'scopes'
  | 'cloudflare'
  | 'sockets'
>
