// Makes man/man1/fairlead.1 from what the commands say of themselves (man(7), as groff and mandoc read it). Beside bin/, where man(1) looks for what is found on a PATH.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { CommandEntry } from '../src/base/terminal/command.ts'

export async function manPage(root: string): Promise<string | undefined> {
  if (!['extensions.ts', 'base/terminal/parse.ts', 'aliases.ts'].every((file) => existsSync(join(root, 'src', file)))) return undefined
  const load = async <T>(file: string): Promise<T> => (await import(pathToFileURL(join(root, 'src', file)).href)) as T
  const { commands } = await load<{ readonly commands: readonly CommandEntry[] }>('extensions.ts')
  const { parse } = await load<typeof import('../src/base/terminal/parse.ts')>('base/terminal/parse.ts')
  const { groups } = await load<typeof import('../src/base/terminal/catalogue.ts')>('base/terminal/catalogue.ts')
  const { aliases } = await load<typeof import('../src/aliases.ts')>('aliases.ts')
  const byArea = Map.groupBy([...commands].sort(byPath), ({ path }) => (path.length > 1 ? path[0]! : ''))
  const order = Object.keys(groups)
  const areas = [...byArea].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))
  const sections = areas.map(async ([area, entries]) => {
    const parts = entries.map(async ({ path, load: open, summary }) => {
      const name = ['fairlead', ...path].join(' ')
      const parsed = parse(name, (await open()).default, ['--help'])
      const usage = parsed.is === 'help' ? (/^Usage: fairlead (.+)$/m.exec(parsed.text)?.[1] ?? path.join(' ')) : path.join(' ')
      return `.TP\n.B ${escaped(usage)}\n${line(summary)}`
    })
    return `.SS ${escaped(area === '' ? groups['']! : `${area}: ${groups[area]}`)}\n${(await Promise.all(parts)).join('\n')}`
  })
  const names = aliases.map(({ name, path }) => `.TP\n.B ${escaped(name)}\n${line(['fairlead', ...path].join(' '))}`)
  return `${[head, ...(await Promise.all(sections)), '.SH RUNBOOK NAMES', line(namesText), ...names, tail].join('\n')}\n`
}

const namesText = 'Shorter names, each with the folders that its runbook names; "fairlead aliases --link DIR" writes them.'

const byPath = (a: CommandEntry, b: CommandEntry): number => (a.path.join(' ') < b.path.join(' ') ? -1 : 1)

/** Text in which nothing is a request or an escape of roff. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq').replaceAll('"', '\\(dq')
}

function line(text: string): string {
  const safe = escaped(text)
  return safe.startsWith('.') ? `\\&${safe}` : safe
}

const head = `.\\" Made by scripts/generate.ts from the program itself: do not edit (npm run generate).
.TH FAIRLEAD 1 "" "fairlead" "User Commands"
.SH NAME
fairlead \\- run, reach and guard MCP servers on machines you own
.SH SYNOPSIS
.B fairlead
.I command
.RI [ arguments ]
.RB [ \\-\\-json ]
.RB [ \\-\\-help ]
.SH DESCRIPTION
Agents use MCP (Model Context Protocol) servers and machines through Fairlead from anywhere, and the owner says who may do what, and can prove what was done.
.B fairlead up
starts a node on this machine and proves it with a real call;
.B fairlead status
shows how everything stands;
.B fairlead guide
is the manual, page by page.
.SH OPTIONS
.TP
.B \\-\\-json
one JSON document on standard output instead of text for people; what is followed is a line for each event
.TP
.BR \\-\\-help ", " \\-h
what the command does, its flags, and examples
.TP
.B \\-\\-version
which Fairlead this is
.SH COMMANDS`

const tail = `.SH EXIT STATUS
.TP
.B 0
done
.TP
.B 1
a conflict, a limit, or something that is missing
.TP
.B 2
wrong usage, or a wrong configuration
.TP
.B 3
a check ran and found something
.TP
.B 4
not let in, or not allowed
.TP
.B 5
something does not answer
.TP
.B 70
a fault of Fairlead itself
.SH ENVIRONMENT
.TP
.B FAIRLEAD_HOME
one folder for all files, in place of those below
.TP
.B FAIRLEAD_LOG
how much is logged:
.BR debug ", " info ", " warn " or " error
.TP
.B FAIRLEAD_SYSTEM
1: the system's folders, for root
.TP
.B NO_COLOR
no colours, whatever the terminal can
.SH FILES
.TP
.I ~/.config/fairlead/fairlead.toml
the configuration, a table for each part; "fairlead config show \\-\\-origin" tells where each value comes from
.TP
.I ~/.local/state/fairlead
records, keys and databases
.TP
.I $XDG_RUNTIME_DIR/fairlead
sockets of what runs
.SH SEE ALSO
.BR ssh (1),
.BR podman (1),
.BR systemctl (1)`
