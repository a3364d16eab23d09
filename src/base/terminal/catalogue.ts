// Finds the command that was typed in the list of all commands, and prints that list: without loading any command's file.
import { faults } from '../../kernel/fault.ts'
import type { CommandEntry } from './command.ts'
import { nearest } from './nearest.ts'
import type { Terminal } from './terminal.ts'

const fault = faults('command', {
  unknown: (d: { typed: string; meant: string | undefined; help: string }) => ({
    kind: 'usage',
    message: `there is no command '${d.typed}'`,
    hint: d.meant ? `did you mean '${d.meant}'? All commands: ${d.help}` : `all commands: ${d.help}`,
  }),
  unknown_flag: (d: { flag: string; meant: string | undefined; help: string }) => ({
    kind: 'usage',
    message: `there is no flag '${d.flag}' here`,
    hint: d.meant ? `did you mean '${d.meant}'?` : `see: ${d.help}`,
  }),
})

/** What a person calls the program, and the words that every command path then begins with: `bmp` and `['reach']`. */
export type Program = { readonly name: string; readonly prefix: readonly string[] }

export type Found =
  | { readonly is: 'command'; readonly entry: CommandEntry; readonly rest: readonly string[] }
  /** The words name several commands, or none were typed. */
  | { readonly is: 'group'; readonly path: readonly string[] }

/** The flags that need no command. */
const everywhere: ReadonlySet<string> = new Set(['--help', '-h', '--json', '--version'])

function startsWith(path: readonly string[], start: readonly string[]): boolean {
  return start.every((word, at) => path[at] === word)
}

/** The longest command path that `words` begin with. */
function commandAt(commands: readonly CommandEntry[], words: readonly string[]): CommandEntry | undefined {
  return commands.filter(({ path }) => startsWith(words, path)).sort((a, b) => b.path.length - a.path.length)[0]
}

/** How the command is typed: `fairlead reach init`, or under a runbook's name `bmp init`. */
export function typedName(program: Program, path: readonly string[]): string {
  return [program.name, ...path.slice(program.prefix.length)].join(' ')
}

/**
 * The command or group that `words` begin with; what is left are its arguments. Under a runbook's name the words may also be a whole path
 * of two words or more (`bmp reach agent`), so that a program can start itself again without knowing its name. Faults: `command.unknown`, `command.unknown_flag`.
 */
export function findCommand(commands: readonly CommandEntry[], program: Program, words: readonly string[]): Found {
  const { prefix } = program
  const full = [...prefix, ...words]
  const named = commandAt(commands, full)
  const whole =
    prefix.length > 0
      ? commandAt(
          commands.filter(({ path }) => path.length > 1),
          words,
        )
      : undefined
  const entry = named && named.path.length > prefix.length ? named : (whole ?? named)
  if (entry) return { is: 'command', entry, rest: (entry === named ? full : words).slice(entry.path.length) }
  const firstFlag = full.findIndex((word) => word.startsWith('-'))
  const path = firstFlag < 0 ? full : full.slice(0, firstFlag)
  const isGroup = path.length === prefix.length || commands.some((command) => startsWith(command.path, path))
  if (!isGroup) throw unknown(commands, program, path)
  const [flag] = full.slice(path.length).filter((word) => !everywhere.has(word))
  if (flag !== undefined) throw fault.unknown_flag({ flag, meant: nearest(flag, everywhere), help: `${typedName(program, path)} --help` })
  return { is: 'group', path }
}

function unknown(commands: readonly CommandEntry[], program: Program, path: readonly string[]): Error {
  const known = path.findIndex((_, at) => !commands.some((command) => startsWith(command.path, path.slice(0, at + 1))))
  const group = path.slice(0, known)
  const word = path[known]!
  const siblings = commands.filter((command) => startsWith(command.path, group)).map((command) => command.path[group.length]!)
  const meant = nearest(word, siblings)
  const elsewhere = commands.find((command) => command.path.at(-1) === word)?.path
  const suggestion = meant ? [...group, meant] : elsewhere && startsWith(elsewhere, program.prefix) ? elsewhere : undefined
  return fault.unknown({
    typed: typedName(program, [...group, word]),
    meant: suggestion && typedName(program, suggestion),
    help: `${typedName(program, group)} --help`,
  })
}

/** What the capabilities are for, in the order they are listed; a group that is not named here comes after them. */
export const groups: Readonly<Record<string, string>> = {
  '': 'the whole machine',
  reach: 'talk to a machine from anywhere',
  run: 'say what should run where, and see it stay so',
  operate: 'typed, role-checked tools for the machine itself',
  share: 'one encrypted cache for many runners',
  gate: 'decide and record every call',
}

/** The list of commands below `path`, grouped by capability, as --help prints it. */
export function commandList(
  commands: readonly CommandEntry[],
  program: Program,
  path: readonly string[],
  style: Terminal['style'],
): string {
  const below = commands.filter((command) => startsWith(command.path, path))
  const width = Math.max(0, ...below.map((command) => typedName(program, command.path).length - program.name.length))
  const line = (command: CommandEntry): string =>
    `  ${typedName(program, command.path)
      .slice(program.name.length + 1)
      .padEnd(width)} ${command.summary}`
  const named = typedName(program, path)
  const usage = `${style.bold('Usage:')} ${named} <command> [arguments] [--json] [--help]`
  const about = groups[path[0] ?? ''] ?? ''
  const head = path.length === 0 ? 'Run, reach and guard MCP servers on machines you own.' : `${named}: ${about}`
  const order = Object.keys(groups)
  const rank = (group: string): number => (order.includes(group) ? order.indexOf(group) : order.length)
  const groupOf = (command: CommandEntry): string => (command.path.length > 1 ? command.path[0]! : '')
  const present = [...new Set(below.map(groupOf))].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
  const blocks = present.map((group) => {
    const title = path.length > 0 ? 'Commands:' : group ? `${group}: ${groups[group] ?? ''}` : `${groups['']}:`
    return `${style.bold(title)}\n${below
      .filter((command) => groupOf(command) === group)
      .map(line)
      .join('\n')}`
  })
  return [head, usage, ...blocks, style.dim(`More on one command: ${named} <command> --help`)].join('\n\n')
}
