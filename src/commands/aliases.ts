// `fairlead aliases`: lists the runbooks' command names, and puts launchers for them on a person's path.
import { join } from 'node:path'
import { type Alias, aliases } from '../aliases.ts'
import { type CommandEntry, command } from '../base/terminal/command.ts'
import { launcherFolder, launcherOf, placeLauncher, shellWord } from '../base/terminal/launcher.ts'

const mark = '# Written by `fairlead aliases --link`: may be replaced or removed by it.'

/** A launcher that needs nothing from its environment: sh, and the absolute path of this installation. */
function launcher(program: string, name: string): string {
  return `#!/bin/sh\n${mark}\nexec ${shellWord(program)} --as ${name} "$@"\n`
}

/** Only names whose command exists are offered. */
function isKnown(commands: readonly CommandEntry[], { path }: Alias): boolean {
  return commands.some((entry) => path.every((word, at) => entry.path[at] === word))
}

export default command({
  summary: "list the runbooks' command names, or put them on your path",
  description:
    'Each name is a short way to type a command, and uses the folders that its runbook names. Linked names work with an empty environment but HOME.',
  flags: { link: { summary: 'write a launcher for each name into this folder', value: 'DIR' } },
  examples: [
    ['fairlead aliases', 'which names there are, and what each stands for'],
    ['fairlead aliases --link ~/.local/bin', 'afterwards `bmp status` is `fairlead reach status` with the files of ~/.bmp'],
  ],
  async run({ terminal, self }, { flags }) {
    const { commands } = await import('../extensions.ts')
    const available = aliases.filter((alias) => isKnown(commands, alias))
    if (flags.link === undefined) {
      const rows = available.map(({ name, path, folders }) => ({ name, command: `fairlead ${path.join(' ')}`, folders }))
      const width = Math.max(0, ...rows.map(({ name }) => name.length))
      const line = (row: (typeof rows)[number]): string =>
        `${row.name.padEnd(width)}  ${[row.command, ...Object.values(row.folders)].join('  ')}`
      terminal.result({ aliases: rows }, () => rows.map(line).join('\n'))
      return
    }
    const folder = launcherFolder(flags.link)
    const program = launcherOf(self)
    const linked = available.map(({ name }) => join(folder, name))
    for (const [at, { name }] of available.entries()) placeLauncher(linked[at]!, mark, launcher(program, name))
    terminal.result({ linked }, () => linked.join('\n'))
  },
})
