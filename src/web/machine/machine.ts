// What the machine server tells, as far as the page shows it: answers of its tools, in which anything may be unavailable.
import type { MachineCalls as Calls } from '../../operate/client.ts'

export type MachineCalls = Calls
export type Maybe<Value> = Value | { readonly unavailable: string } | undefined
type Use = { readonly totalBytes: number; readonly usedBytes: number; readonly usedPercent: number }

/** `system_get_basic_info` */
export type Facts = {
  readonly hostname: Maybe<string>
  readonly os: Maybe<{ readonly name: string; readonly prettyName?: string }>
  readonly kernel: Maybe<string>
  readonly architecture: string
  readonly model: Maybe<string>
  readonly cpu: Maybe<{ readonly count: number; readonly model: Maybe<string> }>
  readonly uptimeSeconds: Maybe<number>
}

/** `system_get_health_snapshot` */
export type Snapshot = {
  readonly load: Maybe<{ readonly oneMinute: number; readonly fiveMinutes: number; readonly fifteenMinutes: number }>
  readonly memory: Maybe<Use>
  readonly swap: Maybe<Use>
  readonly disks: Maybe<readonly ({ readonly path: string; readonly device: string } & (Use | { readonly unavailable: string }))[]>
  readonly temperatures: Maybe<readonly { readonly name: string; readonly celsius: Maybe<number> }[]>
  readonly warnings: readonly { readonly message: string }[]
}

/** `metrics_query` */
export type Measured = {
  readonly from: string
  readonly to: string
  readonly bucketSeconds: number
  readonly series: readonly { readonly name: string; readonly buckets: readonly { readonly time: string; readonly avg: number }[] }[]
}

/** `system_get_network_info` */
export type Network = {
  readonly interfaces: Maybe<
    readonly {
      readonly name: string
      readonly state: Maybe<string>
      readonly addresses: readonly { readonly address: string; readonly prefixLength: number }[]
      readonly counters: { readonly rxBytes?: number; readonly txBytes?: number }
    }[]
  >
}

/** `service_list` */
export type Units = {
  readonly units: readonly {
    readonly unit: string
    readonly description: string
    readonly activeState: string
    readonly subState: string
    readonly enabled: string
  }[]
  readonly total: number
}

/** `logs_query_journal` */
export type Journal = {
  readonly entries: readonly {
    readonly time: string
    readonly message: string
    readonly priority?: string
    readonly unit?: string
    readonly identifier?: string
  }[]
}

export function isKnown<Value>(value: Maybe<Value>): value is Value {
  return value !== undefined && !(typeof value === 'object' && value !== null && 'unavailable' in value)
}

/** Of a text that may be unavailable: the text, or why there is none. */
export function textOf(value: Maybe<string | number>): string {
  return isKnown(value) ? String(value) : `unknown: ${value?.unavailable ?? 'it was not told'}`
}
