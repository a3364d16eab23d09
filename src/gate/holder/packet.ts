// The rehearsal packet: what every connector says and is answered, against a real gate that lives for the rehearsal only, with credentials that open nothing else.
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { makeFolder, removeFolder } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { randomId } from '../../kernel/random.ts'
import { createHttpClient } from '../../base/http/client.ts'
import { tokenHash } from '../../base/access/principal.ts'
import { stageContext } from '../connector/api.ts'
import { makeCredential } from '../connector/credentials.ts'
import { instantText } from '../connector/instant.ts'
import { type ConfiguredGateNeeds, startConfiguredGate } from '../configured.ts'
import { gateCalls } from '../client.ts'
import type { GateConfig } from '../upstream-kind.ts'
import type { DoctrineFailure } from './doctrine.ts'
import { createGateway } from './gateway.ts'
import { type SmokeReport, smoke } from './smoke.ts'
import type { Stage } from './stage.ts'

export type RehearsalNeeds = Pick<ConfiguredGateNeeds, 'kinds' | 'connectors'> & {
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
}

export type RehearsalSettings = {
  /** Where the gate of the rehearsal may live meanwhile. */
  readonly runtime: string
  /** With the chakras and windows of the configuration. */
  readonly config: GateConfig
  readonly as: Pick<Stage, 'holders' | 'checks'>
}

export type Packet = {
  readonly rehearsal: true
  readonly notice: string
  readonly generated_at: string
  readonly stage: 'B'
  readonly context: string
  readonly run_id: string
  readonly connectors: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly doctrine_ok: boolean
  readonly doctrine_failures: readonly DoctrineFailure[]
  readonly notes: readonly string[]
}

const notice =
  'A rehearsal: the gateway was one of its own on a loopback port, with credentials made for it and gone with it. It proves what is said and answered, and nothing about the gate that runs.'

/** Starts the gate, hands every connector a first credential, and has them hand-shake and beat. Faults: those of `startConfiguredGate`, `smoke`. */
export async function rehearse(needs: RehearsalNeeds, { runtime, config, as }: RehearsalSettings): Promise<Packet> {
  const { clock, log } = needs
  const folder = join(runtime, `rehearsal-${randomId(6)}`)
  makeFolder(folder)
  await using stack = new AsyncDisposableStack()
  stack.defer(() => removeFolder(folder))
  const { door: _, logs: __, runtime: ___, ...kept } = config
  const alone: GateConfig = {
    ...kept,
    listen: '127.0.0.1:0',
    state: folder,
    hosts: [],
    upstreams: {},
    offers: {},
    principals: {},
    rules: [],
    uploads: {},
  }
  const gate = await startConfiguredGate({ ...needs, env: {}, folder, state: folder, control: folder }, alone)
  stack.defer(() => gate.close())
  const token = makeCredential()
  const ids = as.holders.map(({ connector }) => connector.id)
  const calls = gateCalls(folder)
  await calls['rotate-connectors']({ connectors: ids, sha256: tokenHash(token.reveal()) })
  const http = createHttpClient()
  stack.defer(() => http.close())
  const stage: Stage = {
    checks: as.checks,
    toggles: { isOn: true, gatewayUrl: gate.url },
    holders: as.holders.map((holder) => ({ ...holder, toggles: { ...holder.toggles, token } })),
    gateway: createGateway({ clock, http }, gate.url),
    gate: calls,
    logs: join(folder, 'logs'),
    tokens: [token],
    async [Symbol.asyncDispose]() {},
  }
  const { report, receipt } = await smoke({ clock, log, signal: needs.signal }, stage, { isBeatSkipped: false, isOffline: false })
  return packetOf(report, stage, { runId: receipt.run, generated: instantText(clock.now()) })
}

function packetOf(
  report: SmokeReport,
  { holders }: Stage,
  { runId, generated }: { readonly runId: string; readonly generated: string },
): Packet {
  const connectors = holders.map(({ connector }) => {
    const { id, channels, capabilities } = connector
    const failures = report.doctrine_failures.filter(({ about }) => about === undefined || about === id)
    const [handshake, heartbeat] = [report.handshake[id]!, report.heartbeat[id]!]
    const told = {
      connector_id: id,
      handshake_request: handshake['request'] ?? null,
      handshake_response: handshake['response'] ?? handshake['error'] ?? null,
      heartbeat_payload: heartbeat['payload'] ?? null,
      heartbeat_response: heartbeat['response'] ?? heartbeat['error'] ?? null,
      supported_channels: channels,
      capabilities,
      rotation: report.rotation_ledger.appended.find(({ connector_id: one }) => one === id) ?? null,
      doctrine_ok: failures.length === 0,
      doctrine_failures: failures,
      notes: failures.map(noteOf),
    }
    return [id, told] as const
  })
  return {
    rehearsal: true,
    notice,
    generated_at: generated,
    stage: 'B',
    context: stageContext,
    run_id: runId,
    connectors: Object.fromEntries(connectors),
    doctrine_ok: report.doctrine_ok,
    doctrine_failures: report.doctrine_failures,
    notes: report.doctrine_failures.map(noteOf),
  }
}

/** What to do about it before a rotation in earnest. */
function noteOf({ check, about, evidence, remedy }: DoctrineFailure): string {
  return `${check}${about === undefined ? '' : ` (${about})`}: ${evidence}${remedy === undefined ? '' : `; to mend it: ${remedy}`}`
}
