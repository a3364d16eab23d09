// The part of a service that is a connector: its sessions and heartbeats, and each message done once, through the gateway or, when that is not to be had, directly.
import { type Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { HttpClient } from '../../base/http/client.ts'
import { beatEveryMs } from '../connector/session.ts'
import { addDrills, drillOf } from '../connector/drills.ts'
import { parseInstant } from '../connector/instant.ts'
import { togglesFrom } from '../connector/toggles.ts'
import { rotationWindowHours } from '../examination.ts'
import { fault } from '../faults.ts'
import type { Adapter, AdapterAnswer, AdapterMessage, AdapterOptions, AdapterSession, DoctrineReport } from './adapter-api.ts'
import { doctrineOf, failuresIn } from './doctrine.ts'
import { closeGap, noteDirect } from './gap.ts'
import { type Answer, type Gateway, createGateway, isUnsent } from './gateway.ts'
import {
  type HeldSession,
  type HolderSettings,
  accepted,
  endSession,
  heartbeatPayload,
  holdHandshake,
  sendHeartbeat,
  tokenOf,
} from './holder.ts'
import { settledEvidence } from './live.ts'
import { type Lists, type Stage, checksIn, examinationOf, loaded, tokensOf } from './stage.ts'

export type AdapterNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly http: HttpClient
  readonly version: string
  lists(): Promise<Lists>
}

const windowMs = rotationWindowHours * 3_600_000
/** After a handshake that failed, messages go the direct way for so long before the next one is tried: none waits for a gateway that is away. */
const restMs = 5_000
/** A message waits for one try; `ensureHandshake` itself is more patient. */
const briefly = { attempts: 1, timeoutMs: 2_000 }
const channelTimeoutMs = 60_000
const defaultConnector = 'operator_api'
/** Refusals that tell that the gateway is not to be had, and not that the message is not allowed. The message was not carried out. */
const gatewayIsAway = new Set(['gate.frozen', 'gate.stopping'])
/** The session is not alive any more: another handshake may help. */
const sessionIsOver = new Set(['gate.no_connector_session', 'gate.connector_late', 'gate.credential_ended'])

type Held = {
  readonly settings: HolderSettings
  session?: HeldSession | undefined
  opening?: Promise<HeldSession> | undefined
  cycle: number
  restUntilMs: number
  why: string
}

export class ConnectorAdapter implements Adapter {
  readonly #needs: AdapterNeeds
  readonly #options: AdapterOptions
  readonly #isOn: boolean
  readonly #gateway: Gateway
  #held: Promise<ReadonlyMap<string, Held>> | undefined
  #stopBeating: (() => void) | undefined

  /** Fault `gate.bad_toggle`. */
  constructor(needs: AdapterNeeds, options: AdapterOptions) {
    const { isOn, gatewayUrl } = togglesFrom(options.env, [])
    this.#needs = needs
    this.#options = options
    this.#isOn = isOn
    this.#gateway = createGateway(needs, gatewayUrl)
  }

  stageBContextEnabled(): boolean {
    return this.#isOn
  }

  async ensureHandshake(connector = defaultConnector): Promise<AdapterSession> {
    if (!this.#isOn) throw fault.mcp_off({})
    const { id, issued_at, credential_expiry, acceptedContexts } = await this.#session(await this.#of(connector))
    return { id, issued_at, credential_expiry, acceptedContexts }
  }

  async emitStageBHeartbeat(
    connector = defaultConnector,
    { event = 'stage-b-heartbeat', credentialExpiry }: Parameters<Adapter['emitStageBHeartbeat']>[1] = {},
  ): Promise<{ payload: AdapterAnswer; response: AdapterAnswer }> {
    if (!this.#isOn) throw fault.mcp_off({})
    const held = await this.#of(connector)
    const session = await this.#session(held)
    const said = { event, cycleCount: held.cycle++, ...(credentialExpiry === undefined ? {} : { expiry: credentialExpiry }) }
    const payload = heartbeatPayload(this.#needs, held.settings, session, said)
    const response = await sendHeartbeat({ gateway: this.#gateway }, held.settings, session, payload).catch((error: unknown) => {
      if (isOver(error)) held.session = undefined
      throw error
    })
    return { payload, response }
  }

  async recordRotationDrill(connector = defaultConnector): Promise<AdapterAnswer> {
    if (!this.#isOn) throw fault.mcp_off({})
    const held = await this.#of(connector)
    const { id, rotatedMs: atHandshake } = await this.#session(held)
    const evidence = { tokens: [tokenOf(held.settings)] }
    const { connectors } = await settledEvidence({ ...this.#needs, gateway: this.#gateway }, evidence)
    const rotatedMs = parseInstant(connectors.get(connector)?.rotated_at ?? '') ?? atHandshake
    const drill = drillOf({ connector, kind: 'drill', rotatedMs, windowMs }, { session: id })
    await addDrills(this.#needs, this.#options.logs, [drill])
    return drill
  }

  async doctrineReport(): Promise<DoctrineReport> {
    const { clock } = this.#needs
    const held = [...(await this.#all()).values()]
    const holders = held.map(({ settings }) => settings)
    const stage: Stage = {
      checks: await checksIn(await this.#needs.lists()),
      toggles: { isOn: this.#isOn, gatewayUrl: this.#gateway.url },
      holders,
      gateway: this.#gateway,
      gate: undefined, // with no credential nobody is asked
      logs: this.#options.logs,
      tokens: tokensOf(holders),
      async [Symbol.asyncDispose]() {},
    }
    const examination = examinationOf(this.#needs, stage)
    const failures = failuresIn(await doctrineOf({ checks: stage.checks, examination }, { clock, signal: new AbortController().signal }))
    return { doctrine_ok: failures.length === 0, doctrine_failures: failures }
  }

  async send(connector: string, message: AdapterMessage): Promise<AdapterAnswer> {
    const held = await this.#of(connector)
    if (!this.#isOn) return this.#direct(held, message, fault.mcp_off({}).message)
    for (let tries = 1; ; tries++) {
      const session = await this.#sessionFor(held)
      if (!session) return this.#direct(held, message, held.why)
      try {
        return accepted(await this.#onChannel(held, session, message))
      } catch (error) {
        const failure = asFault(error)
        if (isUnsent(error) || gatewayIsAway.has(codeOf(error))) return this.#direct(held, message, this.#rest(held, failure.message))
        if (!isOver(error) || tries === 2)
          throw failure.code === 'gate.gateway_unreachable' ? fault.command_unknown({ reason: failure.message }, error) : error
        held.session = undefined // the gateway did not carry it out: once more, in a new one
      }
    }
  }

  async close(): Promise<void> {
    this.#stopBeating?.()
    for (const { settings, session } of (await this.#held)?.values() ?? []) {
      if (session) await endSession({ gateway: this.#gateway }, settings, session.id).catch(() => {}) // it will be late, then
    }
    this.#needs.http.close()
  }

  #all(): Promise<ReadonlyMap<string, Held>> {
    return (this.#held ??= this.#load())
  }

  async #load(): Promise<ReadonlyMap<string, Held>> {
    const { env, instance = 'local', chakras } = this.#options
    const connectors = await loaded((await this.#needs.lists()).connectors)
    const ids = connectors.map(({ id }) => id)
    const toggles = togglesFrom(env, ids)
    const { version } = this.#needs
    return new Map(
      connectors.map((connector) => {
        const settings = {
          connector,
          chakra: chakras?.[connector.id] ?? connector.chakra,
          instance,
          version,
          toggles: toggles.of(connector.id),
        }
        return [connector.id, { settings, cycle: 0, restUntilMs: 0, why: '' }]
      }),
    )
  }

  /** Fault `gate.unknown_connector`. */
  async #of(connector: string): Promise<Held> {
    const all = await this.#all()
    const held = all.get(connector)
    if (!held) throw fault.unknown_connector({ name: connector, known: [...all.keys()] })
    return held
  }

  /** The living one, or one that is opened now; those who ask at once share it. */
  async #session(held: Held, attempts?: typeof briefly): Promise<HeldSession> {
    const { clock } = this.#needs
    if (held.session && Date.parse(held.session.credential_expiry) > clock.now()) return held.session
    held.opening ??= this.#open(held, attempts).finally(() => (held.opening = undefined))
    return held.opening
  }

  async #open(held: Held, attempts?: typeof briefly): Promise<HeldSession> {
    const { log } = this.#needs
    const { settings } = held
    const { session } = await holdHandshake({ ...this.#needs, gateway: this.#gateway }, settings, attempts)
    held.session = session
    held.cycle = 0
    held.restUntilMs = 0
    await closeGap(this.#needs, this.#gapOf(held), { rotatedMs: session.rotatedMs, windowMs }).catch((error: unknown) =>
      log.error('adapter.gap_not_written', { connector: settings.connector.id, error: asFault(error) }),
    )
    this.#stopBeating ??= this.#beating()
    const first = heartbeatPayload(this.#needs, settings, session, { event: 'stage-b-heartbeat', cycleCount: held.cycle++ })
    await sendHeartbeat({ gateway: this.#gateway }, settings, session, first).catch((error: unknown) => this.#beatFailed(held, error))
    return session
  }

  /** Undefined: the gateway is not to be had now, and `why` says why. */
  async #sessionFor(held: Held): Promise<HeldSession | undefined> {
    if (!held.session && this.#needs.clock.mono() < held.restUntilMs) return undefined
    try {
      return await this.#session(held, briefly)
    } catch (error) {
      this.#rest(held, asFault(error).message)
      return undefined
    }
  }

  #rest(held: Held, why: string): string {
    held.session = undefined
    held.restUntilMs = this.#needs.clock.mono() + restMs
    held.why = why
    return why
  }

  async #onChannel({ settings }: Held, session: HeldSession, { body, query, headers }: AdapterMessage): Promise<Answer> {
    const { id, channel } = settings.connector
    const asked = query ? `?${new URLSearchParams(query).toString()}` : ''
    return this.#gateway.send({
      method: 'POST',
      path: `/connectors/${id}/${channel}${asked}`,
      token: tokenOf(settings) satisfies Secret,
      session: session.id,
      body: body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body)),
      timeoutMs: channelTimeoutMs,
      ...(headers ? { headers } : {}),
    })
  }

  async #direct(held: Held, message: AdapterMessage, why: string): Promise<AdapterAnswer> {
    const { log } = this.#needs
    const { id } = held.settings.connector
    const handler = this.#options.handlers?.[id]
    if (!handler) throw fault.no_direct_way({ connector: id, why })
    try {
      noteDirect(this.#needs, this.#gapOf(held), why)
    } catch (error) {
      log.error('adapter.gap_not_noted', { connector: id, error: asFault(error) }) // the message matters more
    }
    log.warn('adapter.direct', { connector: id, why })
    return { ...(await handler(message)), route: 'direct' }
  }

  #gapOf({ settings: { connector, instance } }: Held) {
    return { logs: this.#options.logs, connector: connector.id, instance }
  }

  #beating(): () => void {
    let cancel = (): void => {}
    const again = (): void => {
      cancel = this.#needs.clock.after(beatEveryMs, () => void this.#beatAll().finally(again))
    }
    again()
    return () => cancel()
  }

  async #beatAll(): Promise<void> {
    for (const held of (await this.#all()).values()) {
      if (held.session) await this.emitStageBHeartbeat(held.settings.connector.id).catch((error: unknown) => this.#beatFailed(held, error))
    }
  }

  #beatFailed({ settings: { connector } }: Held, error: unknown): void {
    this.#needs.log.warn('adapter.heartbeat_failed', { connector: connector.id, error: asFault(error) })
  }
}

function codeOf(error: unknown): string {
  const { code, details } = asFault(error)
  return code === 'gate.gateway_refused' ? String(details['code']) : code
}

function isOver(error: unknown): boolean {
  return sessionIsOver.has(codeOf(error))
}
