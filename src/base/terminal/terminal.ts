// The one door to stdout and stderr. Output rules: results alone go to stdout; everything said on the way goes to stderr;
// a pipe gets no colour and no progress; `--json` prints the same result as one object; a fault is printed once, with its hint.
import type { Writable } from 'node:stream'
import type { Fault } from '../../kernel/fault.ts'
import type { Level } from '../../kernel/log.ts'
import { visibleJson, visibleText } from './visible.ts'

export interface Terminal {
  /** The result: `human` is printed as it is, or with --json the object. Called once per command that has a result. */
  result(object: unknown, human: () => string): void
  /** One of a stream of results: `human` as it is, or with --json the object on one line, control characters escaped. */
  line(object: unknown, human: () => string): void
  /** The newest of a stream of results: on a terminal in the place of the one before, elsewhere as `line` has it. */
  screen(object: unknown, human: () => string): void
  /** Something worth knowing on the way (stderr). Silent with --json. */
  note(text: string): void
  /** A step of long work: shown on a terminal only, each one replacing the last. */
  progress(text: string): void
  /** No more steps are to come: the last one is cleared away. */
  done(): void
  /** A line for the operator (stderr), with --json too; it does not run into a step that is shown. */
  log(line: string, level?: Level): void
  /** `fairlead: error: …` and `fairlead: hint: …`, or the fault as JSON. */
  fault(fault: Fault): void
  /** Emphasis where stdout is a terminal, plain text elsewhere. */
  readonly style: { bold(text: string): string; dim(text: string): string; good(text: string): string; bad(text: string): string }
}

/** `isTerminal` is of stderr and decides on progress; `colour` is of stdout. */
export type TerminalOptions = {
  readonly stdout: Writable
  readonly stderr: Writable
  readonly isTerminal: boolean
  readonly json: boolean
  readonly colour: boolean
  /** stdout is a terminal, which can be cleared. */
  readonly isScreen?: boolean
  /** stderr is the journal of systemd: lines begin with their priority (sd-daemon(3)), so that `journalctl -p err` finds errors. */
  readonly isJournal?: boolean
}

/** Of syslog (RFC 5424 §6.2.1). */
const priorities: Readonly<Record<Level, number>> = { error: 3, warn: 4, info: 6, debug: 7 }

/** A terminal over two streams; with `json` notes and progress are silent and results and faults are objects. */
export function createTerminal({
  stdout,
  stderr,
  isTerminal,
  json,
  colour,
  isScreen = false,
  isJournal = false,
}: TerminalOptions): Terminal {
  let hasProgress = false
  const clear = (): void => {
    if (hasProgress) stderr.write('\r\x1b[K')
    hasProgress = false
  }
  const say = (stream: Writable, text: string): void => {
    clear()
    stream.write(text.endsWith('\n') ? text : `${text}\n`)
  }
  const told = (text: string, level: Level): string => (isJournal ? `<${priorities[level]}>${text}` : text)
  const paint = (code: number) => (text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text)
  return {
    result: (object, human) => say(stdout, json ? visibleJson(JSON.stringify(object, undefined, 2)) : human()),
    line: (object, human) => say(stdout, json ? visibleJson(JSON.stringify(object)) : human()),
    screen: (object, human) =>
      say(stdout, json ? visibleJson(JSON.stringify(object)) : isScreen ? `\x1b[H\x1b[2J\x1b[3J${human()}` : human()),
    note: (text) => {
      if (!json) say(stderr, text)
    },
    progress(text) {
      if (!isTerminal || json) return
      clear()
      stderr.write(text)
      hasProgress = true
    },
    done: clear,
    log: (line, level = 'info') => say(stderr, told(line, level)),
    fault(fault) {
      if (json) return say(stderr, told(visibleJson(JSON.stringify({ error: fault })), 'error'))
      say(stderr, told(`fairlead: error: ${visibleText(fault.message)}`, 'error'))
      if (fault.hint) say(stderr, told(`fairlead: hint: ${visibleText(fault.hint)}`, 'info'))
    },
    style: { bold: paint(1), dim: paint(2), good: paint(32), bad: paint(31) },
  }
}
