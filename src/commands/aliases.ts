// `fairlead aliases`: lists the runbooks' command names, and puts launchers for them on a person's path.
import { join, resolve } from 'node:path'
import { type Alias, aliases } from '../aliases.ts'
import { type CommandEntry, command } from '../base/terminal/command.ts'
import { launcherOf } from '../base/terminal/launcher.ts'
import { faults } from '../kernel/fault.ts'
import { makeFolder, readText, writeWhole } from '../kernel/file.ts'

const fault = faults('aliases', {
  foreign_file: (d: { path: string }) => ({
    kind: 'conflict',
    message: `${d.path} is there already and was not written by fairlead aliases`,
    hint: 'move it away, or link into another folder',
  }),
  unexpanded_folder: (d: { folder: string }) => ({
    kind: 'usage',
    message: `the folder is named ${d.folder}: no shell has expanded it`,
    hint: 'put the whole path, from / on',
  }),
})

const mark = '# Written by `fairlead aliases --link`: may be replaced or removed by it.'

/** A launcher that needs nothing from its environment: sh, and the absolute path of this installation. */
function launcher(program: string, name: string): string {
  return `#!/bin/sh\n${mark}\nexec '${program.replaceAll("'", `'\\''`)}' --as ${name} "$@"\n`
}

/** Only names whose command exists are offered. */
function isKnown(commands: readonly CommandEntry[], { path }: Alias): boolean {
  return commands.some((entry) => path.every((word, at) => entry.path[at] === word))
}

/** Writes the launcher unless it stands there already; a file of somebody else is never replaced. */
function link(folder: string, program: string, { name }: Alias): string {
  const path = join(folder, name)
  const wanted = launcher(program, name)
  const present = readText(path)
  if (present !== undefined && !present.includes(mark)) throw fault.foreign_file({ path })
  if (present !== wanted) writeWhole(path, wanted, 0o755)
  return path
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
    if (flags.link.startsWith('~')) throw fault.unexpanded_folder({ folder: flags.link })
    const folder = resolve(flags.link)
    const program = launcherOf(self)
    makeFolder(folder, 0o755)
    const linked = available.map((alias) => link(folder, program, alias))
    terminal.result({ linked }, () => linked.join('\n'))
  },
})
