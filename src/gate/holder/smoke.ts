// The smoke run: every connector hand-shakes and beats for real, the rotation ledger gets a line for each, the doctrine is asked, and a receipt stays.
import { type Fault, asFault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Finding } from '../../base/checks/check.ts'
import { addDrills, drillOf, drillsFile } from '../connector/drills.ts'
import { instantText, parseInstant } from '../connector/instant.ts'
import { rotationWindowHours } from '../examination.ts'
import { chainOf, chainRemedy } from './chain.ts'
import { type DoctrineFailure, doctrineOf, failuresIn } from './doctrine.ts'
import {
  type HeldSession,
  type HolderSettings,
  endSession,
  handshakeRequest,
  heartbeatPayload,
  holdHandshake,
  sendHeartbeat,
  usualAttempts,
} from './holder.ts'
import type { Live } from './live.ts'
import { type Written, writeReceipt } from './receipts.ts'
import { type Stage, examinationOf } from './stage.ts'

export type SmokeNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
  readonly onStart?: (title: string) => void
}
export type SmokeSettings = { readonly isBeatSkipped: boolean; readonly isOffline: boolean }

type Told = Readonly<Record<string, unknown>>

/** As `--json` prints it and the receipt holds it. */
export type SmokeReport = {
  readonly stage: 'B'
  readonly targets: readonly string[]
  readonly services: Readonly<Record<string, { readonly session: Told | null }>>
  readonly handshake: Readonly<Record<string, Told>>
  readonly heartbeat: Readonly<Record<string, Told>>
  readonly rotation_ledger: { readonly file: string; readonly appended: readonly Told[]; readonly error?: Told }
  readonly doctrine_ok: boolean
  readonly doctrine_failures: readonly DoctrineFailure[]
}

export type SmokeEnd = {
  readonly report: SmokeReport
  readonly findings: readonly Finding[]
  readonly receipt: Written
  /** 0: the doctrine has nothing to say. 1: it has. 5: no gateway was reached. */
  readonly exitCode: 0 | 1 | 5
}

export const runKind = 'stage_b3_connector_rotation'
/** Where a failed endpoint is to be spared: asked once, and not waited for. */
const sparing = { attempts: 1, timeoutMs: 1_500 }
const hourMs = 3_600_000

/** What became of one connector: a session, or why there is none. */
type Tried = {
  readonly holder: HolderSettings
  readonly session?: HeldSession
  readonly handshake: Told
  readonly heartbeat: Told
  readonly failure?: Fault
}

/** Faults: only those of the receipt; all else is told in the report. */
export async function smoke(needs: SmokeNeeds, stage: Stage, settings: SmokeSettings): Promise<SmokeEnd> {
  const { clock, log } = needs
  const startedMs = clock.now()
  const isAsked = stage.toggles.isOn && !settings.isOffline
  const tried = await Promise.all(stage.holders.map((holder) => (isAsked ? tryOne(needs, stage, holder, settings) : untried(holder))))
  const { problem } = await chainOf(stage.logs, needs.signal)
  const beating = settings.isBeatSkipped ? [] : tried.flatMap(({ session }) => (session ? [session.id] : []))
  const examination = examinationOf(needs, stage, { beating, isOffline: settings.isOffline })
  const live = isAsked ? await examination.live().catch(() => undefined) : undefined // a check says why
  const ledger = await record(needs, stage, tried, live)
  const findings = await doctrineOf({ checks: stage.checks, examination }, needs)
  await Promise.all(
    tried.map(async ({ holder, session }) => {
      if (!session) return
      // It beats no more: left alone, it would be called late in 90 s.
      await endSession(stage, holder, session.id).catch((error: unknown) => log.warn('gate.smoke.session_left', { error: asFault(error) }))
    }),
  )
  const report = reportOf(tried, ledger, findings, problem)
  const receipt = await writeReceipt(needs, stage.logs, 'stage_b', {
    name: 'summary.json',
    kind: runKind,
    tokens: stage.tokens,
    value: (run) => ({
      run_id: run,
      gateway_url: stage.gateway.url,
      started_at: instantText(startedMs),
      completed_at: instantText(clock.now()),
      duration_seconds: Math.round(clock.now() - startedMs) / 1_000,
      skip_heartbeat: settings.isBeatSkipped,
      offline: settings.isOffline,
      status: report.doctrine_ok ? 'success' : 'failure',
      ...report,
      checks: findings,
    }),
  })
  const isUnreachable = isAsked && tried.every(({ failure }) => failure?.code === 'gate.gateway_unreachable')
  return { report, findings, receipt, exitCode: report.doctrine_ok ? 0 : isUnreachable ? 5 : 1 }
}

async function untried(holder: HolderSettings): Promise<Tried> {
  return { holder, handshake: { status: 'not asked' }, heartbeat: { status: 'not asked' } }
}

async function tryOne(needs: SmokeNeeds, stage: Stage, holder: HolderSettings, { isBeatSkipped }: SmokeSettings): Promise<Tried> {
  const holding = { clock: needs.clock, gateway: stage.gateway }
  const attempts = { ...(isBeatSkipped ? sparing : usualAttempts), signal: needs.signal }
  const request = handshakeRequest(holder)
  let session: HeldSession
  let handshake: Told
  try {
    const held = await holdHandshake(holding, holder, attempts)
    session = held.session
    handshake = { status: 'accepted', request, response: held.answer }
  } catch (error) {
    needs.signal.throwIfAborted()
    const failure = asFault(error)
    return { holder, handshake: { status: 'failed', request, error: told(failure) }, heartbeat: { status: 'not sent' }, failure }
  }
  if (isBeatSkipped) return { holder, session, handshake, heartbeat: { status: 'skipped' } }
  const payload = heartbeatPayload(holding, holder, session, { event: 'stage-b-smoke', cycleCount: 0 })
  try {
    const response = await sendHeartbeat(holding, holder, session, payload)
    return {
      holder,
      session,
      handshake,
      heartbeat: { status: 'accepted', payload, credential_expiry: session.credential_expiry, response },
    }
  } catch (error) {
    const failure = asFault(error)
    return { holder, session, handshake, heartbeat: { status: 'failed', payload, error: told(failure) }, failure }
  }
}

/** A line for each connector that hand-shook, with the last rotation that the gate has proof of now. */
async function record(
  { clock, log }: SmokeNeeds,
  { logs }: Stage,
  tried: readonly Tried[],
  live: Live | undefined,
): Promise<SmokeReport['rotation_ledger']> {
  const windowMs = rotationWindowHours * hourMs
  const appended = tried.flatMap(({ holder: { connector }, session }) => {
    const rotatedMs = parseInstant(live?.connectors.get(connector.id)?.rotated_at ?? '')
    return session && rotatedMs !== undefined
      ? [drillOf({ connector: connector.id, kind: 'drill', rotatedMs, windowMs }, { session: session.id })]
      : []
  })
  try {
    if (appended.length > 0) await addDrills({ clock, log }, logs, appended)
    return { file: drillsFile, appended }
  } catch (error) {
    return { file: drillsFile, appended: [], error: told(asFault(error)) }
  }
}

function reportOf(
  tried: readonly Tried[],
  ledger: SmokeReport['rotation_ledger'],
  findings: readonly Finding[],
  chainProblem: string | undefined,
): SmokeReport {
  const each = <T>(tell: (one: Tried) => T): Record<string, T> =>
    Object.fromEntries(tried.map((one) => [one.holder.connector.id, tell(one)]))
  const failures = [
    ...tried.flatMap((one): DoctrineFailure[] =>
      one.failure ? [failureOf(one.session ? 'heartbeat' : 'handshake', one.holder.connector.id, one.failure)] : [],
    ),
    ...(ledger.error ? [{ check: 'rotation-ledger', verdict: 'bad', evidence: String(ledger.error['message']) }] : []),
    ...(chainProblem === undefined
      ? []
      : [{ check: 'ledger-chain', verdict: 'bad', evidence: `before this run: ${chainProblem}`, remedy: chainRemedy }]),
    ...failuresIn(findings).filter(({ check }) => chainProblem === undefined || check !== 'ledger-chain'),
  ]
  return {
    stage: 'B',
    targets: tried.map(({ holder }) => holder.connector.id),
    services: each(({ session }) => ({ session: session ? sessionTold(session) : null })),
    handshake: each((one) => one.handshake),
    heartbeat: each((one) => one.heartbeat),
    rotation_ledger: ledger,
    doctrine_ok: failures.length === 0,
    doctrine_failures: failures,
  }
}

function failureOf(check: string, about: string, { message, hint }: Fault): DoctrineFailure {
  return { check, verdict: 'bad', about, evidence: message, ...(hint === undefined ? {} : { remedy: hint }) }
}

function sessionTold({ id, issued_at, credential_expiry, acceptedContexts }: HeldSession): Told {
  return { id, issued_at, credential_expiry, accepted_contexts: acceptedContexts }
}

function told({ code, message, hint }: Fault): Told {
  return { code, message, ...(hint === undefined ? {} : { hint }) }
}
