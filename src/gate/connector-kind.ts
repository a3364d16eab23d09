// What a connector is: a service with a credential of its own for the gate, known by its id, with one channel on which it does its work. One file each in connectors/.
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../kernel/clock.ts'
import type { Uploads } from './connector/uploads.ts'

/** What the gate lets a connector do, in its own name. */
export type ConnectorKit = {
  readonly clock: Clock
  /** One `tools/call`, through the layers of the gate: rules, limits, record. */
  call(call: ToolCall, abort: AbortSignal): Promise<ToolAnswer>
  /** Servers behind the gate that the rules let it use, and how they are. */
  upstreams(): readonly { readonly name: string; readonly failing?: { readonly reason: string; readonly retryInMs: number } }[]
  readonly uploads: Uploads
}

/** `argumentsJson`: as it came, byte for byte. */
export type ToolCall = { readonly upstream: string; readonly tool: string; readonly argumentsJson: Uint8Array }

export type ToolAnswer =
  | { readonly result: unknown }
  | { readonly error: { readonly code: number; readonly message: string; readonly data?: unknown } }

/** One message on a connector's channel, whose sender was proved and has a living session. */
export type Message = {
  readonly request: IncomingMessage
  readonly query: URLSearchParams
  /** The whole body, bounded; fault `gate.body_too_large`. */
  body(): Promise<Buffer>
  readonly abort: AbortSignal
}

export type Connector = {
  /** As in `identity.connector_id`, in rules, and in the ledger. */
  readonly id: string
  readonly channels: readonly string[]
  readonly capabilities: readonly string[]
  /** What its heartbeats say by default. */
  readonly chakra: string
  /** The one of its channels that carries its work: `POST /connectors/<id>/<channel>`. */
  readonly channel: string
  /** Does the work. What is answered goes out as JSON; a fault is answered with its kind's status. */
  handle(kit: ConnectorKit, message: Message): Promise<Readonly<Record<string, unknown>>>
}

/** What every connector may say it can do. */
export const commonCapabilities = ['register', 'telemetry'] as const
