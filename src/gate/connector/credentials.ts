// The connectors' credentials as the gate keeps them: by their SHA-256, in one small file that is replaced as a whole, with whether the connectors are frozen.
import { join } from 'node:path'
import { makeFolder, readText, writeWhole } from '../../kernel/file.ts'
import type { Clock } from '../../kernel/clock.ts'
import { randomId } from '../../kernel/random.ts'
import { Secret } from '../../kernel/secret.ts'
import { fault } from '../faults.ts'
import { type ConnectorCredentials, type Credentials, type Ended, type Standing, isGood, standing } from './standing.ts'

/** Somebody froze them, or the environment did at the start. */
export type Frozen = { readonly sinceMs: number; readonly why: string }
type Kept = { readonly version: 1; readonly frozen?: Frozen; readonly connectors: Credentials }

const maxEnded = 8
const none: ConnectorCredentials = { ended: [] }

/** What `makeCredential` makes, wherever it stands. */
export const credentialPattern = /flc_[A-Za-z0-9_-]{43}/

/** A new credential: 256 random bits behind a mark by which it is known where it should not be. */
export function makeCredential(): Secret {
  return new Secret(`flc_${randomId(32)}`)
}

/** Whether there is something in the text that was made by `makeCredential`. */
export function holdsCredential(text: string): boolean {
  return credentialPattern.test(text)
}

export type CredentialsSettings = {
  readonly folder: string
  /** How long a credential is fresh after it was proved, by connector. */
  readonly windowsMs: Readonly<Record<string, number>>
}

export class ConnectorCredentialsTable {
  readonly #clock: Clock
  readonly #path: string
  readonly #windowsMs: Readonly<Record<string, number>>
  #kept: Kept

  /** Fault `gate.credentials_damaged`. */
  constructor({ clock }: { readonly clock: Clock }, { folder, windowsMs }: CredentialsSettings) {
    makeFolder(folder)
    this.#clock = clock
    this.#path = join(folder, 'credentials.json')
    this.#windowsMs = windowsMs
    this.#kept = keptIn(this.#path)
  }

  get all(): Credentials {
    return this.#kept.connectors
  }

  get frozen(): Frozen | undefined {
    return this.#kept.frozen
  }

  of(connector: string): ConnectorCredentials {
    return Object.hasOwn(this.all, connector) ? this.all[connector]! : none
  }

  windowMs(connector: string): number {
    return this.#windowsMs[connector]!
  }

  standing(connector: string, sha256: string): Standing {
    return standing(this.all, connector, sha256, this.#clock.now(), this.windowMs(connector))
  }

  /** The connectors that a credential is good for now. */
  servedBy(sha256: string): readonly string[] {
    return Object.keys(this.#windowsMs).filter((id) => isGood(this.standing(id, sha256)))
  }

  /** The connectors that have seen a credential with this hash, good or not. */
  knownTo(sha256: string): readonly string[] {
    return Object.keys(this.#windowsMs).filter((id) => this.standing(id, sha256).is !== 'unknown')
  }

  /** From now on it is good beside the ones that hold, until `untilMs`; `replaced`: the connectors that must prove it. */
  offer(
    connectors: readonly string[],
    sha256: string,
    { untilMs, replaced }: { readonly untilMs: number; readonly replaced: readonly string[] },
  ): void {
    const issuedMs = this.#clock.now()
    this.#change(connectors, (entry) => ({ ...entry, next: { sha256, issuedMs, untilMs, replaced } }))
  }

  /** Takes an offered one back. */
  withdraw(connectors: readonly string[], sha256: string): void {
    this.#change(connectors, ({ next, ...entry }) =>
      next?.sha256 === sha256
        ? { ...entry, ended: ended(entry.ended, sha256, this.#clock.now(), 'withdrawn') }
        : { ...entry, ...(next ? { next } : {}) },
    )
  }

  /** A holder hand-shook with it: true when that was the first proof that an offered one is in use. */
  prove(connector: string, sha256: string): boolean {
    const { next } = this.of(connector)
    if (next?.sha256 !== sha256 || next.provedMs !== undefined || this.standing(connector, sha256).is !== 'next') return false
    const provedMs = this.#clock.now()
    this.#change([connector], (entry) => ({ ...entry, next: { ...next, provedMs } }))
    return true
  }

  /** Puts the offered one in the place of the one that held, which ends. */
  promote(connectors: readonly string[], sha256: string): void {
    const nowMs = this.#clock.now()
    this.#change(connectors, ({ current, next, ended: before }) => {
      if (next?.sha256 !== sha256) return { ...(current ? { current } : {}), ...(next ? { next } : {}), ended: before }
      return {
        current: { sha256, issuedMs: next.issuedMs, rotatedMs: next.provedMs ?? next.issuedMs },
        ended: current ? ended(before, current.sha256, Math.min(nowMs, next.untilMs), 'rotated') : before,
      }
    })
  }

  freeze(why: string): void {
    this.#write({ ...this.#kept, frozen: { sinceMs: this.#clock.now(), why } })
  }

  restore(): void {
    const { frozen: _, ...rest } = this.#kept
    this.#write(rest)
  }

  #change(connectors: readonly string[], change: (entry: ConnectorCredentials) => ConnectorCredentials): void {
    const changed = Object.fromEntries(connectors.map((id) => [id, change(this.of(id))]))
    this.#write({ ...this.#kept, connectors: { ...this.all, ...changed } })
  }

  /** On the disk before anybody acts on it, power loss included: no ended credential may come back. */
  #write(kept: Kept): void {
    writeWhole(this.#path, `${JSON.stringify(kept, undefined, 2)}\n`)
    this.#kept = kept
  }
}

function ended(before: readonly Ended[], sha256: string, endedMs: number, why: Ended['why']): readonly Ended[] {
  return [{ sha256, endedMs, why }, ...before.filter((one) => one.sha256 !== sha256)].slice(0, maxEnded)
}

function keptIn(path: string): Kept {
  const text = readText(path)
  if (text === undefined) return { version: 1, connectors: {} }
  try {
    const kept = JSON.parse(text) as Kept
    if (kept.version === 1 && Object.values(kept.connectors).every(({ ended: list }) => Array.isArray(list))) return kept
  } catch {
    // told below
  }
  throw fault.credentials_damaged({ path })
}
