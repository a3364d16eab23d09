// A fault says what was asked and could not be done: one type, one catalogue per capability, one table from kind to every outside code.

/** The only thing about a fault that machinery looks at. */
export type FaultKind = 'usage' | 'config' | 'unauthenticated' | 'denied' | 'conflict' | 'missing' | 'limited' | 'unavailable' | 'bug'

type Outside = {
  readonly exitCode: number
  readonly httpStatus: number
  readonly rpcCode: number
  readonly level: 'info' | 'warn' | 'error'
}

/** What each kind becomes outside: exit code, HTTP status (RFC 9110), JSON-RPC error code, log level. Exit code 3 is kept for "a check ran and found something". */
export const outside: Readonly<Record<FaultKind, Outside>> = {
  usage: { exitCode: 2, httpStatus: 400, rpcCode: -32602, level: 'info' },
  config: { exitCode: 2, httpStatus: 500, rpcCode: -32603, level: 'error' },
  unauthenticated: { exitCode: 4, httpStatus: 401, rpcCode: -32001, level: 'warn' },
  denied: { exitCode: 4, httpStatus: 403, rpcCode: -32001, level: 'warn' },
  conflict: { exitCode: 1, httpStatus: 409, rpcCode: -32000, level: 'warn' },
  missing: { exitCode: 1, httpStatus: 404, rpcCode: -32000, level: 'warn' },
  limited: { exitCode: 1, httpStatus: 429, rpcCode: -32000, level: 'warn' },
  unavailable: { exitCode: 5, httpStatus: 503, rpcCode: -32000, level: 'error' },
  bug: { exitCode: 70, httpStatus: 500, rpcCode: -32603, level: 'error' },
}

/** The system's code of an error (`ENOENT`), or else its message: what a fault says of the error that caused it. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as NodeJS.ErrnoException
  return typeof code === 'string' ? code : error.message
}

/** What a catalogue entry says of one failure. `hint` is the next thing to do, as a command where there is one. */
export type Failure = { readonly kind: FaultKind; readonly message: string; readonly hint?: string }

export class Fault extends Error {
  /** `<capability>.<failure>`: compare this, never the class or the message. */
  readonly code: string
  readonly kind: FaultKind
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: string, failure: Failure, details: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super(failure.message, cause === undefined ? undefined : { cause })
    this.name = 'Fault'
    this.code = code
    this.kind = failure.kind
    this.hint = failure.hint
    this.details = details
  }

  toJSON(): { code: string; kind: FaultKind; message: string; hint?: string; details: Readonly<Record<string, unknown>> } {
    return { code: this.code, kind: this.kind, message: this.message, ...(this.hint ? { hint: this.hint } : {}), details: this.details }
  }
}

type Catalogue<Entries> = {
  readonly [Key in keyof Entries]: Entries[Key] extends (details: infer Details) => Failure
    ? (details: Details, cause?: unknown) => Fault
    : never
}

/** Makes the faults of one capability: each key becomes the code `<area>.<key>`, its details are type-checked where it is thrown. */
export function faults<Entries extends Record<string, (details: never) => Failure>>(area: string, entries: Entries): Catalogue<Entries> {
  const made: Record<string, (details: Record<string, unknown>, cause?: unknown) => Fault> = {}
  for (const [key, describe] of Object.entries(entries)) {
    made[key] = (details, cause) => new Fault(`${area}.${key}`, describe(details as never), details, cause)
  }
  return made as Catalogue<Entries>
}

/** The fault itself, or the unexpected error as a fault of kind `bug` with the original as its cause. */
export function asFault(error: unknown): Fault {
  if (error instanceof Fault) return error
  const message = error instanceof Error ? error.message : String(error)
  return new Fault(
    'fairlead.bug',
    { kind: 'bug', message: `unexpected: ${message}`, hint: 'this is a defect in Fairlead: please report it' },
    {},
    error,
  )
}
