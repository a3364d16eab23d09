// The package for services that are connectors: `import { OperatorMCPAdapter } from 'fairlead'`.
import manifest from '../../package.json' with { type: 'json' }
import { createHttpClient } from '../base/http/client.ts'
import { systemClock as clock } from '../kernel/clock.ts'
import { createLog, silentLog } from '../kernel/log.ts'
import type { Adapter, AdapterAnswer, AdapterMessage, AdapterOptions, AdapterSession, DoctrineReport } from '../gate/holder/adapter-api.ts'
import { ConnectorAdapter } from '../gate/holder/adapter.ts'

/** A connector with the gates, checks and toggles of this installation; see `Adapter` for each method. */
export class OperatorMCPAdapter implements Adapter {
  readonly #adapter: Adapter

  constructor(options: AdapterOptions) {
    const log = options.log ? createLog(options.log, () => clock.now()) : silentLog
    const needs = { clock, log, http: createHttpClient(), version: manifest.version, lists: () => import('../extensions.ts') }
    this.#adapter = new ConnectorAdapter(needs, options)
  }

  stageBContextEnabled(): boolean {
    return this.#adapter.stageBContextEnabled()
  }

  ensureHandshake(connector?: string): Promise<AdapterSession> {
    return this.#adapter.ensureHandshake(connector)
  }

  emitStageBHeartbeat(
    connector?: string,
    options?: { readonly event?: 'stage-b-smoke' | 'stage-b-heartbeat'; readonly credentialExpiry?: string },
  ): Promise<{ readonly payload: AdapterAnswer; readonly response: AdapterAnswer }> {
    return this.#adapter.emitStageBHeartbeat(connector, options)
  }

  recordRotationDrill(connector?: string): Promise<AdapterAnswer> {
    return this.#adapter.recordRotationDrill(connector)
  }

  doctrineReport(): Promise<DoctrineReport> {
    return this.#adapter.doctrineReport()
  }

  send(connector: string, message: AdapterMessage): Promise<AdapterAnswer> {
    return this.#adapter.send(connector, message)
  }

  close(): Promise<void> {
    return this.#adapter.close()
  }
}
