// Turns the words after a command's name into its input, and the command into its help text. Only this file knows commander.
import { Argument as PositionalArgument, Command as Parser, CommanderError, InvalidArgumentError, Option } from 'commander'
import { faults } from '../../kernel/fault.ts'
import type { Argument, Command, Flag, Input } from './command.ts'

const fault = faults('command', {
  bad_input: (d: { problem: string; hint: string }) => ({ kind: 'usage', message: d.problem, hint: d.hint }),
})

type Parsed = { readonly is: 'help'; readonly text: string } | { readonly is: 'input'; readonly input: Input<never, never> }

function integer(text: string): number {
  const value = Number(text)
  if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('It must be a whole number.')
  return value
}

function optionOf(key: string, flag: Flag): Option {
  const value = flag.value === undefined ? '' : flag.mayBeBare ? ` [${flag.value}]` : ` <${flag.value}>`
  const option = new Option(`${flag.short === undefined ? '' : `-${flag.short}, `}--${key}${value}`, flag.summary)
  const read = (text: string): string | number => (flag.type === 'integer' ? integer(text) : text)
  if (flag.repeat) option.argParser<(string | number)[] | undefined>((text, before) => [...(before ?? []), read(text)])
  else if (flag.value !== undefined) option.argParser<string | number>(read)
  if (flag.mayBeBare) option.preset('')
  if (flag.default !== undefined) option.default(flag.default)
  return option.makeOptionMandatory(flag.required === true)
}

function argumentOf(key: string, { summary, optional, variadic, choices }: Argument): PositionalArgument {
  const name = variadic ? `${key}...` : key
  const argument = new PositionalArgument(optional ? `[${name}]` : `<${name}>`, summary)
  return choices ? argument.choices(choices) : argument
}

function parserOf(name: string, command: Command): Parser {
  const parser = new Parser(name)
    .exitOverride()
    .configureOutput({ writeErr: () => {}, writeOut: () => {} })
    .configureHelp({ helpWidth: 120 })
    .helpOption('-h, --help', 'say this')
    .description(command.description ? `${command.summary}\n\n${command.description}` : command.summary)
  for (const [key, argument] of Object.entries(command.args)) parser.addArgument(argumentOf(key, argument))
  for (const [key, flag] of Object.entries(command.flags)) parser.addOption(optionOf(key, flag))
  parser.option('--json', 'print the result, or the fault, as one JSON object')
  if (command.examples.length > 0)
    parser.addHelpText('after', `\nExamples:\n${command.examples.map(([line, meaning]) => `  ${line}\n      ${meaning}`).join('\n')}`)
  return parser
}

/** What commander says, in our words: its suggestion becomes the hint. The value of an option that is none is not repeated: it may be a secret. */
function problemOf(error: CommanderError, name: string): Error {
  const said = error.message.replace(/^error: /, '').replace(/^(unknown option '--?[^=']*)=[^]*?'(?=\n|$)/, "$1'")
  const [first = '', ...more] = said.split('\n')
  const meant = /\(Did you mean (.+?)\?\)/.exec(more.join(' '))?.[1]
  return fault.bad_input(
    { problem: `${name}: ${first.replace(/\.$/, '')}`, hint: meant ? `did you mean ${meant}?` : `see: ${name} --help` },
    error,
  )
}

/** Reads `words` as the input of `command`, which is typed as `name`; --help anywhere answers the help text instead. Fault: `command.bad_input`. */
export function parse(name: string, command: Command, words: readonly string[]): Parsed {
  const parser = parserOf(name, command)
  try {
    parser.parse(words, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.code === 'commander.helpDisplayed') return { is: 'help', text: helpOf(name, command) }
    throw problemOf(error, name)
  }
  const args: Record<string, unknown> = {}
  for (const [at, key] of Object.keys(command.args).entries()) args[key] = parser.processedArgs[at]
  const values = parser.opts<Record<string, unknown>>()
  const flags: Record<string, unknown> = {}
  for (const option of parser.options) {
    const flag = command.flags[option.name()]
    if (!flag) continue
    const value = values[option.attributeName()]
    // A switch named `no-…` is given as its opposite being false.
    flags[option.name()] =
      flag.value !== undefined ? (value ?? (flag.repeat ? [] : undefined)) : option.negate ? value === false : value === true
  }
  return { is: 'input', input: { args, flags } as Input<never, never> }
}

/** The help text of a command, with its examples. */
function helpOf(name: string, command: Command): string {
  let text = ''
  parserOf(name, command)
    .configureOutput({ writeOut: (part) => (text += part) })
    .outputHelp()
  return text
}
