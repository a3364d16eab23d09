// `fairlead completion SHELL`: prints a script that completes commands and flags on the Tab key, of this program and of the runbooks' names for it.
import { aliases } from '../aliases.ts'
import { command } from '../base/terminal/command.ts'
import { nearest } from '../base/terminal/nearest.ts'
import { faults } from '../kernel/fault.ts'

const fault = faults('completion', {
  unknown_shell: (d: { shell: string; meant: string | undefined }) => ({
    kind: 'usage',
    message: `there is no completion for the shell '${d.shell}'`,
    hint: d.meant ? `did you mean '${d.meant}'?` : `shells: ${Object.keys(scripts).join(', ')}`,
  }),
})

/** What may follow `typed` (the words after the program's name, joined by spaces). */
type Step = { readonly typed: string; readonly isCommand: boolean; readonly words: readonly (readonly [word: string, summary: string])[] }

type Listed = { readonly path: readonly string[]; readonly summary: string; readonly flags: readonly (readonly [string, string])[] } // the words of a first argument, too

/** One step for each group and each command, groups first. */
function stepsOf(commands: readonly Listed[]): Step[] {
  const groups = new Map<string, Map<string, string>>([['', new Map()]])
  for (const { path, summary } of commands) {
    for (const [at, word] of path.entries()) {
      const typed = path.slice(0, at).join(' ')
      const words = groups.get(typed) ?? new Map<string, string>()
      words.set(word, at === path.length - 1 ? summary : (words.get(word) ?? 'commands'))
      groups.set(typed, words)
    }
  }
  const everywhere = [
    ['--json', 'print one JSON object'],
    ['--help', 'explain'],
  ] as const
  return [
    ...[...groups].map(([typed, words]) => ({ typed, isCommand: false, words: [...words] })),
    ...commands.map(({ path, flags }) => ({ typed: path.join(' '), isCommand: true, words: [...flags, ...everywhere] })),
  ]
}

const names: readonly string[] = ['fairlead', ...aliases.map(({ name }) => name)]

/** Cases of a shell, by the program's name; `%s` in what is done: the words that the name stands for. */
function standingFor(done: string): string {
  return aliases.map(({ name, path }) => `    ${name}) ${done.replace('%s', path.join(' '))} ;;`).join('\n')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

function bash(steps: readonly Step[]): string {
  const cases = steps.map(
    ({ typed, isCommand, words }) =>
      `    ${isCommand ? `${quoted(typed)}|${quoted(`${typed} `)}*` : quoted(typed)}) words=${quoted(words.map(([word]) => word).join(' '))} ;;`,
  )
  return `_fairlead() {
  local words= typed="\${COMP_WORDS[*]:1:COMP_CWORD-1}"
  case "\${COMP_WORDS[0]##*/}" in
${standingFor('typed="%s${typed:+ $typed}"')}
  esac
  case "$typed" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _fairlead ${names.join(' ')}`
}

function zsh(steps: readonly Step[]): string {
  const described = (words: Step['words']): string => words.map(([word, summary]) => quoted(`${word}:${summary}`)).join(' ')
  const cases = steps.map(
    ({ typed, isCommand, words: next }) =>
      `    ${isCommand ? `${quoted(typed)}|${quoted(`${typed} `)}*` : quoted(typed)}) next=(${described(next)}) ;;`,
  )
  return `#compdef ${names.join(' ')}
_fairlead() {
  local -a next
  local typed="\${(j: :)words[2,CURRENT-1]}"
  case "\${words[1]:t}" in
${standingFor('typed="%s${typed:+ $typed}"')}
  esac
  case "$typed" in
${cases.join('\n')}
  esac
  if [[ $PREFIX == -* || \${#next} -gt 0 && $next[1] != -* ]]; then _describe command next; else _files; fi
}
compdef _fairlead ${names.join(' ')}`
}

function fish(steps: readonly Step[]): string {
  const at = ({ typed, isCommand }: Step): string =>
    isCommand ? `string match -q -- ${quoted(`${typed} *`)} (__fairlead_typed)' '` : `test (__fairlead_typed) = ${quoted(typed)}`
  const offer = (word: string, summary: string): string =>
    (word.startsWith('--') ? `-l ${word.slice(2)}` : `-f -a ${word}`) + ` -d ${quoted(summary)}`
  const lines = steps.flatMap((step) =>
    step.words.map(
      ([word, summary]) => `complete -c fairlead -n ${JSON.stringify(at(step)).replaceAll('$', '\\$')} ${offer(word, summary)}`,
    ),
  )
  return `function __fairlead_typed
  set -l words (commandline -opc)
  set -l typed (string join -- ' ' $words[2..-1])
  printf '%s\\n' "$typed"
end
${lines.join('\n')}
${aliases.map(({ name, path }) => `complete -c ${name} -w 'fairlead ${path.join(' ')}'`).join('\n')}`
}

const scripts: Readonly<Record<string, (steps: readonly Step[]) => string>> = { bash, zsh, fish }

export default command({
  summary: 'print a script that completes commands in your shell',
  description:
    "The runbooks' names (fairlead aliases) are completed too. Where a shell finds such scripts by the command's name, link it to those: ln -s fairlead mcp.",
  args: { shell: { summary: 'bash, zsh or fish' } },
  examples: [
    ['fairlead completion bash > ~/.local/share/bash-completion/completions/fairlead', 'bash, from the next shell on'],
    ['fairlead completion zsh > ~/.zfunc/_fairlead', 'zsh, when ~/.zfunc is in its fpath'],
    ['fairlead completion fish > ~/.config/fish/completions/fairlead.fish', 'fish'],
  ],
  async run({ terminal }, { args }) {
    const script = Object.hasOwn(scripts, args.shell) ? scripts[args.shell] : undefined
    if (!script) throw fault.unknown_shell({ shell: args.shell, meant: nearest(args.shell, Object.keys(scripts)) })
    const { commands } = await import('../extensions.ts')
    const listed = await Promise.all(
      commands.map(async ({ path, summary, load }): Promise<Listed> => {
        const { args, flags } = (await load()).default
        const [first] = Object.values(args)
        const words = (first?.choices ?? []).map((word) => [word, first!.summary] as const)
        return { path, summary, flags: [...words, ...Object.entries(flags).map(([key, flag]) => [`--${key}`, flag.summary] as const)] }
      }),
    )
    const text = script(stepsOf(listed))
    terminal.result({ shell: args.shell, script: text }, () => text)
  },
})
