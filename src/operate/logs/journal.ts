// Reads the journal of systemd, by journalctl's own JSON and never by text that was made for people; whatever comes from outside is one word of argv.
import { asFault } from '../../kernel/fault.ts'
import { fault } from '../faults.ts'
import type { Host } from '../host.ts'

/** Of syslog, the most urgent first. */
export const priorities = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'] as const
export type Priority = (typeof priorities)[number]

export type JournalAsked = {
  readonly unit?: string | undefined
  readonly sinceSeconds?: number | undefined
  readonly untilSeconds?: number | undefined
  /** That urgent, or more. */
  readonly priority?: Priority | undefined
  /** 0 is this boot, -1 the one before; or a boot's id. */
  readonly boot?: string | undefined
  /** PCRE, in the message. */
  readonly pattern?: string | undefined
  /** `last`: the newest, and with a cursor those before it. `first`: the oldest, and with a cursor those after it. */
  readonly which: 'first' | 'last'
  readonly cursor?: string | undefined
  readonly limit: number
}

export type JournalEntry = {
  readonly time: string
  readonly message: string
  readonly priority?: Priority
  readonly unit?: string
  readonly identifier?: string
  readonly pid?: number
  readonly boot?: string
}

export type JournalFound = {
  /** In order of time. */
  readonly entries: readonly JournalEntry[]
  /** Where it goes on, if it does. */
  readonly cursor?: string
  /** What journalctl says of what it may not show. */
  readonly incomplete?: string
}

const timeoutMs = 20_000
const maxBytes = 8 << 20
const maxMessageLength = 2_000
/** Of all messages together: an answer has to be read. */
const maxTotalLength = 120_000

/** systemd.unit(5): what a unit may be called; templates' instances too, patterns not. */
const unitName = /^[A-Za-z0-9:_.\\@-]{1,200}\.(?:service|socket|timer|mount|automount|swap|target|path|slice|scope|device)$/
const bootName = /^(?:[+-]?\d{1,6}|[0-9a-f]{32})$/
const cursorText = /^s=[0-9a-f]{1,32}(?:;[ibmtx]=[0-9a-f]{1,32}){1,5}$/

/** What journalctl is called with. Faults `operate.bad_journal_filter`, `operate.bad_cursor`. */
export function journalArgv(asked: JournalAsked): [string, ...string[]] {
  const { unit, sinceSeconds, untilSeconds, priority, boot, pattern, which, cursor } = asked
  const name = unit === undefined || unit.includes('.') ? unit : `${unit}.service`
  if (name !== undefined && !unitName.test(name))
    throw fault.bad_journal_filter({ problem: `${JSON.stringify(unit)} is no name of a unit` })
  if (boot !== undefined && !bootName.test(boot)) throw fault.bad_journal_filter({ problem: `${JSON.stringify(boot)} is no boot` })
  if (pattern?.includes('\0')) throw fault.bad_journal_filter({ problem: 'there is a zero byte in the expression' })
  if (cursor !== undefined && !cursorText.test(cursor)) throw fault.bad_cursor({ problem: 'it is not one that this tool gave' })
  return [
    'journalctl',
    '--output=json',
    '--no-pager',
    '--output-fields=MESSAGE,PRIORITY,_SYSTEMD_UNIT,SYSLOG_IDENTIFIER,_PID,_BOOT_ID',
    ...(name === undefined ? [] : [`--unit=${name}`]),
    ...(sinceSeconds === undefined ? [] : [`--since=@${sinceSeconds}`]),
    ...(untilSeconds === undefined ? [] : [`--until=@${untilSeconds}`]),
    ...(priority === undefined ? [] : [`--priority=${priority}`]),
    ...(boot === undefined ? [] : [`--boot=${boot}`]),
    ...(pattern === undefined ? [] : [`--grep=${pattern}`]),
    ...(which === 'last' ? ['--reverse'] : []),
    ...(cursor === undefined ? [] : [`--after-cursor=${cursor}`]),
  ]
}

/** Asks journalctl. Faults: those of `journalArgv`, `operate.no_journal`. */
export async function readJournal(host: Host, asked: JournalAsked): Promise<JournalFound> {
  const argv = journalArgv(asked)
  const wanted = asked.limit + 1 // one more tells whether it goes on
  const { stdout, stderr, exitCode, signal } = await host
    .run(argv, timeoutMs, { maxBytes, enoughLines: wanted })
    .catch((error: unknown) => {
      throw fault.no_journal({ reason: asFault(error).message }, error)
    })
  const lines = stdout.split('\n').filter((line) => line !== '')
  const said = stderr.trim().slice(0, 500)
  if (exitCode !== 0 && signal === null && lines.length === 0 && said !== '') {
    const isFilter = /pattern|compile|cursor|boot|argument/i.test(said)
    throw isFilter ? fault.bad_journal_filter({ problem: said }) : fault.no_journal({ reason: said })
  }
  const found: { entry: JournalEntry; cursor: string }[] = []
  let length = 0
  for (const line of lines.slice(0, asked.limit)) {
    const one = entryOf(line)
    if (!one) break // the last one may have been cut off
    length += one.entry.message.length + 200
    if (length > maxTotalLength && found.length > 0) break
    found.push(one)
  }
  const entries = found.map(({ entry }) => entry)
  const goesOn = lines.length > found.length
  return {
    entries: asked.which === 'last' ? entries.toReversed() : entries,
    ...(goesOn && found.length > 0 ? { cursor: found.at(-1)!.cursor } : {}),
    ...(said === '' ? {} : { incomplete: said }),
  }
}

function entryOf(line: string): { entry: JournalEntry; cursor: string } | undefined {
  let fields: Record<string, unknown>
  try {
    fields = JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
  const text = (name: string): string | undefined => (typeof fields[name] === 'string' ? (fields[name] as string) : undefined)
  const priority = priorities[Number(text('PRIORITY') ?? Number.NaN)]
  const pid = Number(text('_PID') ?? Number.NaN)
  const optional = { priority, unit: text('_SYSTEMD_UNIT'), identifier: text('SYSLOG_IDENTIFIER'), boot: text('_BOOT_ID') }
  return {
    cursor: text('__CURSOR') ?? '',
    entry: {
      time: new Date(Number(text('__REALTIME_TIMESTAMP')) / 1_000).toISOString(),
      message: messageOf(fields['MESSAGE']),
      ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
      ...(Number.isInteger(pid) ? { pid } : {}),
    },
  }
}

/** journalctl gives bytes that are no text as numbers, and null for what is longer than 4 KiB; several messages of one entry as a list. */
function messageOf(value: unknown): string {
  if (value === null) return '(longer than 4 KiB, and not shown)'
  const bytes = Array.isArray(value) && value.every((one) => typeof one === 'number')
  const text = typeof value === 'string' ? value : bytes ? Buffer.from(value as number[]).toString('utf8') : JSON.stringify(value ?? '')
  return text.length > maxMessageLength ? `${text.slice(0, maxMessageLength)}…` : text
}
