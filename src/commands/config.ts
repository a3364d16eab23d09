// `fairlead config check` and `fairlead config show`: what the configuration says, and where each value comes from.
import type { z } from 'zod'
import type { Path } from '../base/config/document.ts'
import { command } from '../base/terminal/command.ts'
import { nearest } from '../base/terminal/nearest.ts'
import { faults } from '../kernel/fault.ts'
import { statOf } from '../kernel/file.ts'

const actions = ['check', 'show'] as const

const fault = faults('config_command', {
  unknown_action: (d: { action: string; meant: string | undefined }) => ({
    kind: 'usage',
    message: `fairlead config cannot '${d.action}'`,
    hint: d.meant ? `did you mean '${d.meant}'?` : `it can: ${actions.join(', ')}`,
  }),
  unknown_section: (d: { section: string; known: readonly string[] }) => ({
    kind: 'usage',
    message: `there is no capability '${d.section}' with a configuration`,
    hint: `those with one: ${d.known.join(', ') || 'none'}`,
  }),
})

/** The plain values in a configuration, each with its place; empty tables and lists count as values. */
function leaves(value: unknown, path: Path = []): (readonly [Path, unknown])[] {
  if (Array.isArray(value) && value.some((item) => typeof item === 'object'))
    return value.flatMap((item, at) => leaves(item, [...path, at]))
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[path, value]]
  const entries = Object.entries(value).filter(([, child]) => child !== undefined)
  return entries.length === 0 && path.length > 0 ? [[path, value]] : entries.flatMap(([key, child]) => leaves(child, [...path, key]))
}

async function schemaFor(section: string | undefined): Promise<z.ZodType> {
  const { configs } = await import('../extensions.ts')
  if (section === undefined) return (await import('../base/config/machine.ts')).machineSchema(configs)
  const wanted = configs.find(({ name }) => name === section)
  if (!wanted) throw fault.unknown_section({ section, known: configs.map(({ name }) => name) })
  return (await wanted.load()).default
}

export default command({
  summary: 'check the configuration, or show every value and where it comes from',
  description:
    'Without FILE it reads fairlead.toml (or .yaml) in the configuration folder: one table for each capability. A file that is not there means all defaults.',
  args: { action: { summary: 'check or show' }, file: { summary: 'another file, TOML or YAML by its ending', optional: true } },
  flags: {
    section: { summary: 'the file holds the keys of this one capability', value: 'CAPABILITY' },
    origin: { summary: 'show the file and line of each value, or that it is the default' },
  },
  examples: [
    ['fairlead config check', 'says nothing and ends with 0 when all is well'],
    ['fairlead config show --origin', 'every setting, with the file and line that set it'],
    ['fairlead config check /etc/mcp-raspi/config.yml --section operate', "a capability's own file"],
  ],
  async run({ terminal, folders }, { args, flags }) {
    const action = actions.find((name) => name === args.action)
    if (!action) throw fault.unknown_action({ action: args.action, meant: nearest(args.action, actions) })
    const { loadConfig } = await import('../base/config/config.ts')
    const { machineFile } = await import('../base/config/machine.ts')
    const { pathText } = await import('../base/config/problem.ts')
    const path = args.file ?? machineFile(folders.config)
    const loaded = await loadConfig({ schema: await schemaFor(flags.section), path, isOptional: args.file === undefined })
    if (action === 'check') {
      terminal.note(`${path}: ${statOf(path) ? 'in order' : 'not there, so all is default'}`)
      return
    }
    const rows = await Promise.all(
      leaves(loaded.value).map(async ([at, value]) => ({
        key: pathText(at),
        value,
        ...(flags.origin ? { origin: await loaded.originOf(at) } : {}),
      })),
    )
    const line = ({ key, value, origin }: (typeof rows)[number]): string =>
      `${key} = ${JSON.stringify(value)}${origin === undefined ? '' : `  ${terminal.style.dim(`# ${origin}`)}`}`
    terminal.result({ file: path, values: rows }, () => rows.map(line).join('\n'))
  },
})
