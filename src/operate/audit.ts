// The audit log: a ledger of who called what and how it ended, who was refused, and who came in or failed to. What cannot be written is told; changes are not made then.
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import type { Principal } from '../base/access/principal.ts'
import { type RateLimit, rateLimit } from '../base/access/rate.ts'
import { argumentDigests } from '../base/ledger/argument.ts'
import { type Ledger, openLedger } from '../base/ledger/ledger.ts'
import { ledgerSecret } from '../base/ledger/secret.ts'
import type { Attempt, CallRecord } from '../base/mcp/tool/call.ts'
import type { Clock } from '../kernel/clock.ts'
import { type Fault, asFault } from '../kernel/fault.ts'
import { makeFolder } from '../kernel/file.ts'
import type { Log } from '../kernel/log.ts'
import { fault } from './faults.ts'
import { keepRetained } from './logs/retention.ts'
import type { LoggingSettings } from './logs/settings.ts'

const maxTextLength = 256
const againEveryMs = 5_000
/** The same principal from the same place is noted as come in once in so long; so many are remembered. */
const loginMs = 15 * 60_000
const maxLogins = 1_000
/** Failures to come in, of one source: nobody may push others' entries out of the log. */
const failures = { burst: 20, perSecond: 0.1 }

export interface Audit extends CallRecord {
  /** Notes that somebody came in, now and then. */
  login(principal: Principal, source: string): void
  /** Notes that somebody was not let in; `reason` repeats nothing of a credential. */
  authFailed(source: string, code: string, reason: string): void
  /** Why nothing can be written now. */
  readonly problem: string | undefined
  close(): Promise<void>
}

export type AuditNeeds = { readonly clock: Clock; readonly log: Log }
export type AuditSettings = Pick<LoggingSettings, 'max_bytes' | 'backup_count' | 'retention_days'> & {
  readonly folder: string
  /** The file of the secret that salts arguments; made when it is not there. */
  readonly secret: string
  /** `audit.log`, or another where several processes write: the first of them that is free. */
  readonly files: readonly string[]
}

/** The name by which the first entry is chained. */
export function auditOrigin(): string {
  return `mcp-raspi-server/${hostname()}`
}

/** Opens it; what keeps it from being opened is told by `problem`, and it is tried again. */
export function openAudit(needs: AuditNeeds, settings: AuditSettings): Audit {
  return new LedgerAudit(needs, settings)
}

const text = (value: string): string => JSON.stringify(value.length > maxTextLength ? `${value.slice(0, maxTextLength)}…` : value)

class LedgerAudit implements Audit {
  readonly #needs: AuditNeeds
  readonly #settings: AuditSettings
  readonly #failures: RateLimit
  readonly #logins = new Map<string, number>()
  #open: { readonly ledger: Ledger; readonly file: string; readonly digestOf: ReturnType<typeof argumentDigests> } | undefined
  #problem: string | undefined
  #unwritten = 0
  #triedAt = Number.NEGATIVE_INFINITY
  readonly #endRetaining: () => void

  constructor(needs: AuditNeeds, settings: AuditSettings) {
    this.#needs = needs
    this.#settings = settings
    this.#failures = rateLimit(needs.clock, failures)
    this.#opened()
    const place = () => this.#open && { folder: settings.folder, file: this.#open.file }
    this.#endRetaining = keepRetained(needs, settings, place, ({ from, to, files }) => {
      void this.#last(`"event":"audit_dropped","from":${from},"to":${to},"files":${files}`)
    })
  }

  get problem(): string | undefined {
    this.#opened()
    return this.#problem
  }

  async begin(attempt: Attempt): Promise<number> {
    const open = this.#opened()
    if (!open) throw this.#away()
    const digest =
      attempt.input === undefined ? '' : `,"arguments":"${open.digestOf(open.ledger.next, Buffer.from(JSON.stringify(attempt.input)))}"`
    const durability = attempt.effect === 'change' ? 'synced' : 'written'
    const { seq } = await this.#noticed(open.ledger.append(`"event":"tool_call.begin",${who(attempt)}${digest}`, durability))
    return seq
  }

  end(begin: number, attempt: Attempt, outcome: string, durationMs: number, code?: string): Promise<void> {
    return this.#last(
      `"event":"tool_call.end","begin":${begin},${who(attempt)},"outcome":"${outcome}"${code === undefined ? '' : `,"code":${text(code)}`},"durationMs":${durationMs}`,
    )
  }

  denied(attempt: Attempt, code: string): Promise<void> {
    return this.#last(`"event":"permission_denied",${who(attempt)},"code":${text(code)}`)
  }

  login({ name, via }: Principal, source: string): void {
    const key = `${name} ${via} ${source}`
    const now = this.#needs.clock.mono()
    if (now - (this.#logins.get(key) ?? Number.NEGATIVE_INFINITY) < loginMs) return
    this.#logins.delete(key)
    if (this.#logins.size >= maxLogins) this.#logins.delete(this.#logins.keys().next().value!)
    this.#logins.set(key, now)
    void this.#last(`"event":"auth_login","principal":${text(name)},"via":"${via}","source":${text(source)}`)
  }

  authFailed(source: string, code: string, reason: string): void {
    if (this.#failures.take(source) > 0) return void this.#unwritten++
    const more = this.#unwritten === 0 ? '' : `,"alsoUnwritten":${this.#unwritten}`
    this.#unwritten = 0
    void this.#last(`"event":"auth_failed","source":${text(source)},"code":${text(code)},"reason":${text(reason)}${more}`)
  }

  async close(): Promise<void> {
    this.#endRetaining()
    await this.#open?.ledger.close()
    this.#open = undefined
    this.#triedAt = Number.POSITIVE_INFINITY
  }

  /** An entry that nobody waits for the failure of: it is logged instead. */
  async #last(line: string): Promise<void> {
    const open = this.#opened()
    const written = open ? this.#noticed(open.ledger.conclude(line)) : Promise.reject(this.#away())
    await written.catch((error: unknown) =>
      this.#needs.log.error('audit.unrecorded', { line: line.slice(0, 1_000), reason: asFault(error).message }),
    )
  }

  #away(): Fault {
    return fault.audit_away({ folder: this.#settings.folder, reason: this.#problem ?? 'it is closed' })
  }

  async #noticed<T>(writing: Promise<T>): Promise<T> {
    try {
      const done = await writing
      this.#problem = undefined
      return done
    } catch (error) {
      this.#problem = asFault(error).message
      throw error
    }
  }

  #opened() {
    const { clock, log } = this.#needs
    if (this.#open || clock.mono() - this.#triedAt < againEveryMs) return this.#open
    this.#triedAt = clock.mono()
    const { folder, secret, files, max_bytes: maxSegmentBytes } = this.#settings
    try {
      makeFolder(folder, 0o750)
      makeFolder(dirname(secret), 0o750)
      const digestOf = argumentDigests(ledgerSecret(secret))
      for (const [at, file] of files.entries()) {
        try {
          const ledger = openLedger({ folder, file, origin: auditOrigin(), clock, log, maxSegmentBytes, mode: 0o640 })
          this.#problem = undefined
          return (this.#open = { ledger, file, digestOf })
        } catch (error) {
          if (asFault(error).code !== 'store.locked' || at === files.length - 1) throw error
        }
      }
    } catch (error) {
      const reason = asFault(error).message
      if (reason !== this.#problem) log.error('audit.unwritable', { folder, reason })
      this.#problem = reason
    }
    return undefined
  }
}

function who({ tool, caller: { principal, source, requestId }, role }: Attempt): string {
  return (
    `"tool":${text(tool)},"principal":${text(principal.name)},"via":"${principal.via}","source":${text(source)},"request":${text(requestId)}` +
    (role === undefined ? '' : `,"role":"${role}"`)
  )
}
