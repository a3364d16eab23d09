// The record of all that was asked of the helper: a call leaves `begin` and `end`, a refusal one line. Texts from outside are quoted and cut, so that a line stays one.
import { join } from 'node:path'
import { hostname } from 'node:os'
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import { makeFolder, statOf } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { argumentDigests } from '../../base/ledger/argument.ts'
import type { LedgerPlace } from '../../base/ledger/checkpointing.ts'
import { type Ledger, openLedger } from '../../base/ledger/ledger.ts'
import { ledgerSecret } from '../../base/ledger/secret.ts'
import { distrustOf } from '../../base/config/trusted.ts'
import { fault } from '../faults.ts'
import { keepRetained } from '../logs/retention.ts'
import type { LoggingSettings } from '../logs/settings.ts'

const maxTextLength = 256

/** Who asked, as far as it is known; `isProved`: by a grant, else it is what the server says. */
export type Asker = {
  readonly principal: string
  readonly via: string
  readonly isProved: boolean
  readonly source: string
  readonly request: string
}

export type Asked = {
  readonly operation: string
  readonly asker: Asker | undefined
  /** Which connection. */
  readonly link: number
  /** As JSON. */
  readonly arguments: Uint8Array | undefined
  readonly subjects: readonly string[]
}

export interface HelperRecord {
  /** `written` resolves when it is, with `isSynced` when a loss of power cannot undo it, and rejects when it cannot be. */
  begin(asked: Asked, isSynced: boolean): { readonly seq: number; readonly written: Promise<unknown> }
  end(begin: number, outcome: string, durationMs: number, reason?: string): Promise<void>
  denied(asked: Asked, code: string, reason: string): Promise<void>
  /** Something that is no request that could be understood. */
  refused(link: number, code: string, problem: string): Promise<void>
  /** What the helper did by itself, such as what it was told to do later. */
  note(event: string, members: Readonly<Record<string, string | number>>): Promise<void>
  close(): Promise<void>
}

const text = (value: string): string => JSON.stringify(value.length > maxTextLength ? `${value.slice(0, maxTextLength)}…` : value)

/** Where the record of a helper is. */
export function helperLedger(folder: string): LedgerPlace & { readonly file: string } {
  return { folder, file: 'audit.log', origin: `raspi-ops-agent/${hostname()}` }
}

/** Opens the record in `folder`, which root alone may change: its group may read it. Faults: those of `openLedger`, `operate.untrusted_file`. */
export function openRecord(
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  folder: string,
  logging: Pick<LoggingSettings, 'max_bytes' | 'backup_count' | 'retention_days'>,
): HelperRecord {
  if (!statOf(folder)) makeFolder(folder, 0o750)
  const secretFile = join(folder, 'ledger.secret')
  const secret = ledgerSecret(secretFile)
  const found = distrustOf(secretFile, 0o600)
  if (found) throw fault.untrusted_file({ path: secretFile, ...found })
  const place = helperLedger(folder)
  const ledger = openLedger({ ...place, clock, log, mode: 0o640, maxSegmentBytes: logging.max_bytes })
  const record = recordIn({ log, ledger, digestOf: argumentDigests(secret) })
  const endRetaining = keepRetained(
    { clock, log },
    logging,
    () => place,
    (dropped) => void record.note('audit_dropped', dropped),
  )
  return {
    ...record,
    close() {
      endRetaining()
      return record.close()
    },
  }
}

type RecordNeeds = { readonly log: Log; readonly ledger: Ledger; readonly digestOf: ReturnType<typeof argumentDigests> }

function recordIn({ log, ledger, digestOf }: RecordNeeds): HelperRecord {
  const who = (event: string, { operation, asker, link, arguments: given, subjects }: Asked): string =>
    `"event":"${event}","tool":${text(operation)},"link":${link}` +
    (asker
      ? `,"principal":${text(asker.principal)},"via":${text(asker.via)},"proved":${asker.isProved},"source":${text(asker.source)},"request":${text(asker.request)}`
      : '') +
    (subjects.length > 0 ? `,"subjects":${JSON.stringify(subjects)}` : '') +
    (given ? `,"arguments":"${digestOf(ledger.next, given)}"` : '')
  /** A line about what did not happen: without it nothing happens either, but it must be told. */
  const last = async (line: string): Promise<void> => {
    await ledger
      .conclude(line)
      .catch((error: unknown) => log.error('helper.unrecorded', { line: line.slice(0, 1_000), reason: asFault(error).message }))
  }
  return {
    begin: (asked, isSynced) => ({
      seq: ledger.next,
      written: ledger.append(who('tool_call.begin', asked), isSynced ? 'synced' : 'written'),
    }),
    end: (begin, outcome, durationMs, reason) =>
      last(
        `"event":"tool_call.end","begin":${begin},"outcome":"${outcome}","ms":${Math.round(durationMs * 1_000) / 1_000}` +
          (reason === undefined ? '' : `,"reason":${text(reason)}`),
      ),
    denied: (asked, code, reason) => last(`${who('permission_denied', asked)},"code":${text(code)},"reason":${text(reason)}`),
    refused: (link, code, problem) => last(`"event":"refused","link":${link},"code":${text(code)},"reason":${text(problem)}`),
    note: (event, members) => last(JSON.stringify({ event, ...members }).slice(1, -1)),
    close: () => ledger.close(),
  }
}
