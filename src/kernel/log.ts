// What a daemon tells its operator: one JSON object a line, with a level, an event name and fields; secrets print as `[redacted]`.

/** The least urgent first. */
export const levels = ['debug', 'info', 'warn', 'error'] as const
export type Level = (typeof levels)[number]

/** `event` is a stable dotted name (`gate.upstream.lost`): search for it; `fields` are whatever JSON can say. */
export interface Log {
  debug(event: string, fields?: Readonly<Record<string, unknown>>): void
  info(event: string, fields?: Readonly<Record<string, unknown>>): void
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void
  error(event: string, fields?: Readonly<Record<string, unknown>>): void
}

const secretKey = /token|secret|password|passphrase|authorization|cookie|private.?key/i
const maxTextLength = 2_000

function plain(key: string, value: unknown): unknown {
  if (secretKey.test(key) && typeof value === 'string') return '[redacted]'
  if (value instanceof Error) return { message: value.message, code: (value as { code?: unknown }).code }
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'string' && value.length > maxTextLength) return `${value.slice(0, maxTextLength)}… (${value.length} characters)`
  return value
}

/** A log that hands each finished line (without line feed) to `write`; lines below `level` are dropped. */
export function createLog(write: (line: string, level: Level) => void, now: () => number, level: Level = 'info'): Log {
  const least = levels.indexOf(level)
  const at =
    (name: Level) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      if (levels.indexOf(name) < least) return
      write(JSON.stringify({ time: new Date(now()).toISOString(), level: name, event, ...fields }, plain), name)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** Tells both. */
export function both(one: Log, other: Log): Log {
  const at =
    (name: Level) =>
    (event: string, fields?: Readonly<Record<string, unknown>>): void => {
      one[name](event, fields)
      other[name](event, fields)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** What is left of a secret where a text was cut is a secret too, down to so many characters. */
const leastRestLength = 6

/** The same log, in which `[redacted]` stands for each of these texts in any field, be it what somebody else said. The set may grow. */
export function redacting(log: Log, secrets: ReadonlySet<string>): Log {
  const withoutSecrets = (_key: string, value: unknown): unknown => {
    if (value instanceof Error) return { message: redacted(value.message, secrets), code: (value as { code?: unknown }).code }
    if (typeof value === 'bigint') return value.toString()
    return typeof value === 'string' ? redacted(value, secrets) : value
  }
  /** What is undefined stays so: a line leaves its time or level out by that. */
  const copy = (value: unknown): unknown => {
    const text = JSON.stringify(value, withoutSecrets) as string | undefined
    return text === undefined ? undefined : JSON.parse(text)
  }
  const at =
    (name: Level) =>
    (event: string, fields?: Readonly<Record<string, unknown>>): void =>
      log[name](event, fields && Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, copy(value)])))
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function redacted(text: string, secrets: ReadonlySet<string>): string {
  let rest = text
  for (const secret of secrets) {
    if (secret === '') continue
    rest = rest.replaceAll(secret, '[redacted]')
    const end = rest.endsWith('…') ? rest.slice(0, -1) : rest
    for (let length = Math.min(secret.length - 1, end.length); length >= leastRestLength; length--)
      if (end.endsWith(secret.slice(0, length))) {
        rest = `${end.slice(0, -length)}[redacted]`
        break
      }
  }
  return rest
}

/** For parts run without an operator: tests, one-off commands. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }
