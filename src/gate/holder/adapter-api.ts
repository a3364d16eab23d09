// What the package tells its users of the adapter: types alone, of nothing else.

/** Session of a connector at the gateway. */
export type AdapterSession = {
  readonly id: string
  readonly issued_at: string
  readonly credential_expiry: string
  readonly acceptedContexts: readonly string[]
}

export type AdapterAnswer = Readonly<Record<string, unknown>>

/** One message for a connector's channel: a command, a mission brief (`body` as JSON or bytes), or an upload (bytes, with `query` and `headers`). */
export type AdapterMessage = {
  readonly body: Readonly<Record<string, unknown>> | Uint8Array
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
}

/** Does the work of a connector here, without the gateway. */
export type DirectHandler = (message: AdapterMessage) => Promise<AdapterAnswer> | AdapterAnswer

export type AdapterOptions = {
  /** `process.env`: toggles and credentials are read from it once, at the start. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** The folder of the rotation ledger, `logs/` in the runbook. */
  readonly logs: string
  /** The direct way of each connector, by its id. */
  readonly handlers?: Readonly<Record<string, DirectHandler>>
  /** Tells processes of the same connector apart; `local` by default. One instance is one process. */
  readonly instance?: string
  /** What heartbeats say, by connector; each one's own word by default. */
  readonly chakras?: Readonly<Record<string, string>>
  /** Told what happens on the way, a JSON line at a time. */
  readonly log?: (line: string) => void
}

export type DoctrineReport = {
  readonly doctrine_ok: boolean
  readonly doctrine_failures: readonly {
    readonly check: string
    readonly verdict: string
    readonly about?: string
    readonly evidence: string
    readonly remedy?: string
  }[]
}

/** The part of a service that is a connector. Ids: `operator_api` (the default everywhere), `operator_upload`, `crown_handshake`. */
export interface Adapter {
  /** Whether `ABZU_USE_MCP` is exactly 1. */
  stageBContextEnabled(): boolean
  /** The session, a new one if there is none that lives; from then on it beats every 30 s. Rejects when the toggle is off or the gateway refuses. */
  ensureHandshake(connector?: string): Promise<AdapterSession>
  /** One heartbeat of the session. `credentialExpiry`: an explicit one, which must not be later than the session's. */
  emitStageBHeartbeat(
    connector?: string,
    options?: { readonly event?: 'stage-b-smoke' | 'stage-b-heartbeat'; readonly credentialExpiry?: string },
  ): Promise<{ readonly payload: AdapterAnswer; readonly response: AdapterAnswer }>
  /** A line in the rotation ledger with the last rotation that the gate has proof of. */
  recordRotationDrill(connector?: string): Promise<AdapterAnswer>
  doctrineReport(): Promise<DoctrineReport>
  /**
   * Does the work of a message, once: through the gateway (`route: "mcp"`), or by the direct handler (`route: "direct"`) when the toggle is off, the handshake fails, or
   * the message certainly did not arrive. Rejects with `gate.command_unknown` when it may have arrived and was not answered, and with `gate.gateway_refused` when rules refuse it.
   */
  send(connector: string, message: AdapterMessage): Promise<AdapterAnswer>
  /** Ends its sessions. */
  close(): Promise<void>
}
