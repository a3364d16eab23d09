// argv → command → exit code: the only file that reads argv and the environment, owns the standard streams and ends the process.
import { fstatSync } from 'node:fs'
import module from 'node:module'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import { isatty } from 'node:tty'
import { fileURLToPath } from 'node:url'
import manifest from '../package.json' with { type: 'json' }
import { aliases } from './aliases.ts'
import { type Found, type Program, commandList, findCommand, typedName } from './base/terminal/catalogue.ts'
import type { Context, PeerStreams } from './base/terminal/command.ts'
import { homeFolder, homesOf } from './base/terminal/folders.ts'
import { type Terminal, createTerminal } from './base/terminal/terminal.ts'
import { commands } from './extensions.ts'
import { systemClock } from './kernel/clock.ts'
import { type Fault, asFault, faults, outside, reasonOf } from './kernel/fault.ts'
import { type Level, createLog, levels } from './kernel/log.ts'

const fault = faults('fairlead', {
  node_too_old: (d: { version: string; least: number }) => ({
    kind: 'unavailable',
    message: `Node ${d.version} is too old: Fairlead needs Node ${d.least} or later`,
    hint: 'run `npm install --include=optional`, which brings a fitting Node along, or install a newer one',
  }),
  output_lost: (d: { reason: string }) => ({
    kind: 'unavailable',
    message: `the output could not be written: ${d.reason}`,
    hint: 'look at where it goes: is the disk full?',
  }),
  unknown_name: (d: { name: string; known: string }) => ({
    kind: 'usage',
    message: `there is no command name '${d.name}'`,
    hint: `known names: ${d.known}`,
  }),
})

const leastNode = 24
const env: Context['env'] = { ...process.env }

/** When FAIRLEAD_LOG names no level: a person at a terminal is told what needs attention; a file or a service manager keeps what happened as well. */
function usualLevel(): Level {
  return process.stderr.isTTY ? 'warn' : 'info'
}

/** Whether all of the program is one executable (Makefile): then the name that it was started by may be one of the runbooks'. */
const isSingleFile = process.getBuiltinModule?.('node:sea').isSea() ?? false

/** Flags that stand before the command: `--as NAME` comes from the launchers that `fairlead aliases --link` writes. */
type Start = { readonly program: Program; readonly alias: (typeof aliases)[number] | undefined; readonly words: readonly string[] }

function startOf(argv: readonly string[]): Start {
  const named = argv[0] === '--as' ? argv[1] : undefined
  const given = named === undefined ? argv : argv.slice(2)
  const alias = aliases.find(({ name }) => name === (named ?? (isSingleFile ? basename(process.argv0) : undefined)))
  if (named !== undefined && !alias) throw fault.unknown_name({ name: named, known: aliases.map(({ name }) => name).join(', ') })
  const first = given.findIndex((word) => !early.has(word))
  const path = first < 0 ? [] : given.slice(first)
  const before = (first < 0 ? given : given.slice(0, first)).filter((word) => word !== '--json')
  const words = path[0] === 'help' ? helpOn(path.slice(1)) : before.length > 0 ? [...upToDashes(path), ...before] : path
  return { program: { name: alias?.name ?? 'fairlead', prefix: alias?.path ?? [] }, alias, words }
}

/** What no command begins with is a page of the guide. */
function helpOn(asked: readonly string[]): readonly string[] {
  const [topic, ...more] = asked.filter((word) => !word.startsWith('-'))
  const isPage = topic !== undefined && more.length === 0 && !commands.some(({ path }) => path.includes(topic))
  return isPage ? ['guide', ...asked] : [...asked, '--help']
}

const early: ReadonlySet<string> = new Set(['--json', '--help', '-h', '--version'])

/** What follows `--` is never a flag of ours. */
function upToDashes(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--')
  return end < 0 ? argv : argv.slice(0, end)
}

/** Whether stderr is the stream that systemd connected to its journal (systemd.exec(5), JOURNAL_STREAM), and not redirected since. */
function isJournal(): boolean {
  const stream = env['JOURNAL_STREAM']
  if (!stream) return false
  const { dev, ino } = fstatSync(2)
  return stream === `${dev}:${ino}`
}

function openTerminal(json: boolean): Terminal {
  const isScreen = process.stdout.isTTY && env['TERM'] !== 'dumb'
  return createTerminal({
    isJournal: isJournal(),
    stdout: process.stdout,
    stderr: process.stderr,
    isTerminal: process.stderr.isTTY && env['TERM'] !== 'dumb',
    json,
    colour: isScreen && !env['NO_COLOR'],
    isScreen,
  })
}

/** Keeps compiled code between starts, in the person's cache folder; quietly off where that cannot be written. */
function keepCompiled(): void {
  const cache = env['XDG_CACHE_HOME'] || (env['HOME'] && join(env['HOME'], '.cache'))
  if (cache) module.enableCompileCache?.(join(cache, 'fairlead', 'compiled'))
}

const exitCodeOf = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const

/** Why `Context.signal` was aborted. A command that throws it, instead of returning in good order, ends with `exitCode` and no message. */
class Stopped extends DOMException {
  readonly exitCode: number

  constructor(why: string, exitCode: number) {
    super(why, 'AbortError')
    this.exitCode = exitCode
  }
}

/** One signal asks the command to stop in good order; a second one ends the process at once. */
function listenForSignals(stop: AbortController, reloads: ReadonlySet<() => void>): void {
  const isAtTerminal = (): boolean => [0, 1, 2].some((stream) => isatty(stream)) // one that hangs up is none any more
  const hasTerminal = isAtTerminal()
  // who has no terminal has none to lose; without a listener SIGHUP would end us, since Node undoes what `nohup` did
  process.on('SIGHUP', () => {
    if (!hasTerminal || isAtTerminal()) for (const reload of reloads) reload()
  })
  for (const signal of [...(hasTerminal ? (['SIGHUP'] as const) : []), 'SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (signal === 'SIGHUP' && reloads.size > 0 && isAtTerminal()) return // somebody asks it to reload
      if (stop.signal.aborted) process.exit(exitCodeOf[signal])
      stop.abort(new Stopped(`stopped by ${signal}`, exitCodeOf[signal]))
    })
  }
}

function contextOf({ alias }: Start, terminal: Terminal, signal: AbortSignal, reloads: Set<() => void>): Context {
  const main = isSingleFile ? [] : [...process.execArgv, fileURLToPath(import.meta.url)]
  const level = levels.find((name) => name === env['FAIRLEAD_LOG']) ?? usualLevel()
  const homes = homesOf(env, homeFolder(env, homedir), process.getuid?.() === 0, alias, aliases)
  const peers = async (): Promise<PeerStreams> => (await import('./daemons/peer-streams.ts')).peerStreams(context)
  const context: Context = {
    env,
    terminal,
    log: createLog(terminal.log, () => systemClock.now(), level),
    clock: systemClock,
    folders: homes[0]!.folders,
    homes,
    version: manifest.version,
    ...(alias ? { alias: alias.name } : {}),
    signal,
    onReload(reload) {
      reloads.add(reload)
      return () => void reloads.delete(reload)
    },
    get stdin() {
      return process.stdin
    },
    get stdout() {
      return process.stdout
    },
    peers: {
      dial: async (asked) => (await peers()).dial(asked),
      serve: async (asked, accept) => (await peers()).serve(asked, accept),
    },
    self: [process.execPath, ...main, ...(alias ? ['--as', alias.name] : [])],
  }
  return context
}

async function runCommand(start: Start, found: Found & { is: 'command' }, terminal: Terminal, stop: AbortController): Promise<number> {
  const [{ default: command }, { parse }] = await Promise.all([found.entry.load(), import('./base/terminal/parse.ts')])
  const parsed = parse(typedName(start.program, found.entry.path), command, found.rest)
  if (parsed.is === 'help') {
    terminal.result({ command: found.entry.path.join(' '), help: parsed.text }, () => parsed.text)
    return 0
  }
  const reloads = new Set<() => void>()
  listenForSignals(stop, reloads)
  return (await command.run(contextOf(start, terminal, stop.signal, reloads), parsed.input)) ?? 0
}

function tellVersion(terminal: Terminal): number {
  const { version } = manifest
  terminal.result({ version }, () => version)
  return 0
}

async function answer(start: Start, terminal: Terminal, stop: AbortController): Promise<number> {
  const found = findCommand(commands, start.program, start.words)
  const isVersion = start.words.length === 1 && start.words[0] === '--version' // also where the program is one command
  if (isVersion) return tellVersion(terminal)
  if (found.is === 'command') return runCommand(start, found, terminal, stop)
  if (start.words.includes('--version')) return tellVersion(terminal)
  const listed = commands.filter(({ path }) => found.path.every((word, at) => path[at] === word))
  terminal.result({ commands: listed.map(({ path, summary }) => ({ path, summary })) }, () =>
    commandList(commands, start.program, found.path, terminal.style),
  )
  return 0
}

function report(terminal: Terminal, failure: Fault): number {
  terminal.fault(failure)
  if (failure.kind === 'bug' && env['FAIRLEAD_DEBUG'] === '1') terminal.note(String(((failure.cause ?? failure) as Error).stack))
  return outside[failure.kind].exitCode
}

function outputLost(terminal: Terminal, error: Error): number {
  return report(terminal, fault.output_lost({ reason: reasonOf(error) }, error))
}

/** A pipe whose other end was closed, or a terminal that hung up. */
function isReaderGone({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EPIPE' || (code === 'EIO' && process.stdout.isTTY)
}

/** Waits until what was written has left: `process.exit` would cut it off where a pipe is asynchronous. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve()
    else stream.write('', () => resolve())
  })
}

async function main(): Promise<never> {
  keepCompiled()
  const argv = process.argv.slice(2)
  const terminal = openTerminal(upToDashes(argv).includes('--json'))
  const stop = new AbortController()
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (!isReaderGone(error)) process.exit(outputLost(terminal, error))
    stop.abort(new Stopped('nobody reads our output any more', 0))
  })
  process.stderr.on('error', () => {}) // there is nobody left to tell
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => process.exit(report(terminal, asFault(error))))
  }
  let exitCode: number
  try {
    const version = process.versions.node
    if (Number.parseInt(version, 10) < leastNode) throw fault.node_too_old({ version, least: leastNode })
    exitCode = await answer(startOf(argv), terminal, stop)
  } catch (error) {
    const reason: unknown = stop.signal.reason
    const wasStopped = reason instanceof Stopped && (reason.exitCode === 0 || (error as Error | undefined)?.name === 'AbortError')
    exitCode = wasStopped ? reason.exitCode : report(terminal, asFault(error))
  }
  terminal.done()
  await Promise.all([flushed(process.stdout), flushed(process.stderr)])
  const lost: NodeJS.ErrnoException | null = process.stdout.errored // its event may not have come yet
  process.exit(lost && !isReaderGone(lost) ? outputLost(terminal, lost) : exitCode)
}

await main()
