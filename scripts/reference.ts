// Makes the pages of docs/reference that follow from what commands and settings say of themselves.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { CommandEntry } from '../src/base/terminal/command.ts'
import type { ConfigEntry } from '../src/base/config/machine.ts'

type Loaded = <T>(file: string) => Promise<T>

/** Loads files of the tree; undefined when it has no list of extensions, and no parser of commands: then it has no pages either. */
function loaderIn(root: string, needed: readonly string[]): Loaded | undefined {
  if (!needed.every((file) => existsSync(join(root, 'src', file)))) return undefined
  return async (file) => (await import(pathToFileURL(join(root, 'src', file)).href)) as never
}

const made = 'Made by scripts/generate.ts from the program itself: do not edit (npm run generate).'

/** Every command with its help text, in the order of their names. */
export async function commandsPage(root: string): Promise<string | undefined> {
  const load = loaderIn(root, ['extensions.ts', 'base/terminal/parse.ts'])
  if (!load) return undefined
  const { commands } = await load<{ readonly commands: readonly CommandEntry[] }>('extensions.ts')
  const { parse } = await load<typeof import('../src/base/terminal/parse.ts')>('base/terminal/parse.ts')
  const sorted = [...commands].sort((a, b) => (a.path.join(' ') < b.path.join(' ') ? -1 : 1))
  const parts = sorted.map(async ({ path, load: open }) => {
    const name = `fairlead ${path.join(' ')}`
    const parsed = parse(name, (await open()).default, ['--help'])
    return `## ${name}\n\n\`\`\`\n${parsed.is === 'help' ? parsed.text.trimEnd() : ''}\n\`\`\`\n`
  })
  const intro =
    'Each takes `--json` and `--help`. Exit codes: 0 done; 1 conflict or missing; 2 usage or configuration; 3 a check ran and found something; 4 not let in or not allowed; 5 something does not answer; 70 a fault of ours.'
  return [`# Commands\n\n${made}\n\n${intro}\n`, ...(await Promise.all(parts))].join('\n')
}

/** Every key of every capability's table in fairlead.toml. */
export async function configPage(root: string): Promise<string | undefined> {
  const load = loaderIn(root, ['extensions.ts', 'base/config/describe.ts'])
  if (!load) return undefined
  const { configs = [] } = await load<{ readonly configs?: readonly ConfigEntry[] }>('extensions.ts')
  const { describeConfig } = await load<typeof import('../src/base/config/describe.ts')>('base/config/describe.ts')
  const parts = configs.map(async ({ name, load: open }) => {
    const keys = describeConfig((await open()).default)
    const rows = keys.map(({ path, type, description, default: usual, isRequired }) => {
      const value = isRequired ? 'required' : usual === undefined ? '' : `\`${cell(JSON.stringify(usual))}\``
      return `| \`${cell(path)}\` | ${cell(type)} | ${value} | ${cell(description)} |`
    })
    return `## [${name}]\n\n| key | value | by default | what it is |\n|---|---|---|---|\n${rows.join('\n')}\n`
  })
  const intro =
    '`fairlead.toml` (or `.yaml`) in the configuration folder, one table for each capability. `<name>` stands for a name of your own, `[]` for each entry of a list. `fairlead config check` says what is wrong with a file, `fairlead config show --origin` where each value comes from.'
  return [`# Configuration\n\n${made}\n\n${intro}\n`, ...(await Promise.all(parts))].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
