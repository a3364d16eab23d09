// Rotation of a connector's credential as a plan: the new one holds beside the old one, its holder proves that it is in use, the old one ends, and only then is it written down as
// a rotation. A stop at any step is gone on with; without the proof all is taken back.
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Ledger } from '../../base/ledger/ledger.ts'
import { entriesFrom } from '../../base/ledger/lines.ts'
import { namesOf } from '../../base/ledger/segments.ts'
import type { Step } from '../../base/steps/plan.ts'
import { fault } from '../faults.ts'
import type { ConnectorCredentialsTable } from './credentials.ts'
import { addDrills, drillOf, readDrills } from './drills.ts'
import { fingerprint } from './handshake.ts'
import { isProved } from './standing.ts'

/** What a rotation was begun with; no secret is in it. */
export type RotationInput = {
  readonly id: string
  /** The process that began it: only another one has to look up what this one did. */
  readonly process: string
  readonly connectors: readonly string[]
  readonly sha256: string
  /** Of the credentials that are replaced; a connector without one gets its first. */
  readonly old: Readonly<Record<string, string>>
  readonly untilMs: number
  /** No entry of it in the gate's ledger has a lower number. */
  readonly fromSeq: number
}

export type RotationNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly ledger: Ledger
  readonly credentials: ConnectorCredentialsTable
  /** Whether a living session of the connector still uses this credential. */
  usesStill(connector: string, sha256: string): boolean
  /** Resolves when something of a rotation may have changed, after `withinMs` at the latest. */
  changed(withinMs: number): Promise<void>
  /** Called when credentials have ended. */
  ended(): Promise<void>
  readonly signal: AbortSignal
}

export type RotationSettings = {
  /** Of this process. */
  readonly process: string
  readonly ledgerFolder: string
  readonly drillsFolder: string
}

/** The steps, each as `Step` wants it. From the end of the old credential on there is no way back. */
export function rotationSteps(needs: RotationNeeds, settings: RotationSettings, input: RotationInput): Step[] {
  const told = evidence(needs, settings, input)
  return [
    told(offer(needs, input), 'rotation.offered', 'rotation.withdrawn'),
    told(proof(needs, input), 'rotation.proved'),
    told(end(needs, input), 'rotation.ended'),
    record(needs, settings, input),
  ]
}

function offer({ credentials }: RotationNeeds, { connectors, sha256, old, untilMs }: RotationInput): Step {
  return {
    name: 'let the new credential hold beside the old one',
    isDone: () => connectors.every((id) => hasNew(credentials, id, sha256)),
    do: () => credentials.offer(connectors, sha256, { untilMs, replaced: Object.keys(old) }),
    undo: () => credentials.withdraw(connectors, sha256),
  }
}

function hasNew(credentials: ConnectorCredentialsTable, connector: string, sha256: string): boolean {
  const { current, next } = credentials.of(connector)
  return next?.sha256 === sha256 || current?.sha256 === sha256
}

/** Waits for every holder, and for the sessions that still use the old credential: until the overlap ends. A first credential has nothing to prove a change of. */
function proof(needs: RotationNeeds, input: RotationInput): Step {
  const { clock, credentials, signal } = needs
  const { connectors, sha256, old, untilMs } = input
  const isSettled = (): boolean =>
    isProved(credentials.all, { sha256, replaced: Object.keys(old) }) &&
    (clock.now() >= untilMs || !Object.entries(old).some(([id, before]) => needs.usesStill(id, before)))
  return {
    name: 'see it in use',
    isDone: isSettled,
    async do() {
      while (!isSettled()) {
        signal.throwIfAborted()
        const leftMs = untilMs - clock.now()
        if (leftMs <= 0) throw fault.rotation_unproved({ connectors: connectors.filter((id) => id in old) })
        await needs.changed(leftMs)
      }
    },
    undo() {},
  }
}

function end({ credentials, ended }: RotationNeeds, { connectors, sha256 }: RotationInput): Step {
  return {
    name: 'end the old one',
    isDone: () => connectors.every((id) => credentials.of(id).current?.sha256 === sha256 && credentials.of(id).next === undefined),
    async do() {
      credentials.promote(connectors, sha256)
      await ended()
    },
  }
}

function record(
  { clock, log, credentials }: RotationNeeds,
  { drillsFolder }: RotationSettings,
  { id, connectors, sha256, old }: RotationInput,
): Step {
  return {
    name: 'write it into the rotation ledger',
    async isDone() {
      const { drills } = await readDrills(drillsFolder)
      const there = new Set(
        drills.filter(({ kind, rotation }) => kind === 'rotation' && rotation === id).map((drill) => drill.connector_id),
      )
      return connectors.every((connector) => there.has(connector))
    },
    async do() {
      const drills = connectors.map((connector) => {
        const { rotatedMs } = credentials.of(connector).current!
        const before = old[connector]
        const changed = { before: before === undefined ? null : fingerprint(before), after: fingerprint(sha256) }
        return drillOf(
          { connector, kind: 'rotation', rotatedMs, windowMs: credentials.windowMs(connector) },
          { rotation: id, fingerprint: changed },
        )
      })
      await addDrills({ clock, log }, drillsFolder, drills)
    },
  }
}

/** Makes a step leave one entry in the gate's ledger, whatever stops come: it is done when its deed is, and the entry is there. */
function evidence({ ledger }: RotationNeeds, { process, ledgerFolder }: RotationSettings, input: RotationInput) {
  const written = new Set<string>()
  const isWritten = async (event: string): Promise<boolean> => {
    if (!written.has(event) && input.process !== process && (await isInLedger(ledgerFolder, markOf(event, input), input.fromSeq)))
      written.add(event)
    return written.has(event)
  }
  const write = async (event: string): Promise<void> => {
    if (await isWritten(event)) return
    const { connectors, sha256, old } = input
    const before = Object.fromEntries(Object.entries(old).map(([id, one]) => [id, fingerprint(one)]))
    await ledger.append({ event, rotation: input.id, connectors, credential: fingerprint(sha256), before }, 'synced')
    written.add(event)
  }
  return (step: Step, event: string, undone?: string): Step => ({
    name: step.name,
    isDone: async () => (await step.isDone()) && (await isWritten(event)),
    async do() {
      if (!(await step.isDone())) await step.do()
      await write(event)
    },
    ...(step.undo
      ? {
          async undo() {
            await step.undo!()
            if (undone !== undefined) await write(undone)
          },
        }
      : {}),
  })
}

/** How an entry of this rotation stands in its line. */
function markOf(event: string, { id }: RotationInput): string {
  return `"event":"${event}","rotation":"${id}"`
}

async function isInLedger(folder: string, mark: string, fromSeq: number): Promise<boolean> {
  for await (const entries of entriesFrom(namesOf(folder, 'ledger.jsonl'), fromSeq)) {
    if (entries.some(({ bytes }) => bytes.includes(mark))) return true
  }
  return false
}
