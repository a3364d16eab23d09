// Writes src/extensions.ts: every extension file of the tree with a lazy import; src/web/pages.ts: those of the dashboard; the pages of docs/reference, and the manual page. `--check` only tells
// whether they are up to date.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { manPage } from './man-page.ts'
import { commandsPage, configPage } from './reference.ts'
import { faultsPage, metricsPage } from './source-reference.ts'

const root = resolve(import.meta.dirname, '..')

/** Folders below src that are no capability: `src/<capability>/<plural>/` is looked for in all others. */
const notCapabilities = new Set(['kernel', 'base', 'daemons', 'commands', 'web'])

/** Each extension point: the folders it has, `*` standing for each capability. A pattern that ends in `.ts` names one file. */
const points: Readonly<Record<string, readonly string[]>> = {
  commands: ['commands', '*/commands'],
  configs: ['*/config.ts', 'base/cluster/config.ts'],
  statuses: ['*/status.ts'],
  reachables: ['*/reachable.ts'],
  tools: ['*/tools'],
  checks: ['*/checks'],
  registries: ['*/registries'],
  runtimes: ['*/runtimes'],
  upstreams: ['*/upstreams'],
  clients: ['*/clients'],
  connectors: ['*/connectors'],
  eras: ['base/mcp/eras'],
}

type Extension = { readonly file: string; readonly owner: string; readonly name: string }

/** Extension files of one point, in a fixed order. Tests and fixtures (`x.test.ts`) are none; every other file of such a folder must be one, with its value as default export. */
function filesOf(capabilities: readonly string[], patterns: readonly string[], problems: string[]): Extension[] {
  const places = patterns.flatMap((pattern) =>
    pattern.startsWith('*') ? capabilities.map((name) => pattern.replace('*', name)) : [pattern],
  )
  const found = places.flatMap((place): Extension[] => {
    const owner = place.split('/').slice(0, -1).join('/')
    if (place.endsWith('.ts'))
      return existsSync(join(root, 'src', place)) ? [{ file: place, owner, name: owner.slice(owner.lastIndexOf('/') + 1) }] : []
    const folder = join(root, 'src', place)
    if (!existsSync(folder)) return []
    const files = readdirSync(folder).filter((file) => /^[\w-]+\.ts$/.test(file))
    return files.map((file) => ({ file: `${place}/${file}`, owner, name: file.slice(0, -'.ts'.length) }))
  })
  const whole = found.filter(({ file }) => /^export default /m.test(readFileSync(join(root, 'src', file), 'utf8')))
  for (const { file } of found.filter((extension) => !whole.includes(extension))) {
    problems.push(`src/${file} has no default export: a file of a plural folder is one extension, its default export`)
  }
  return whole.sort((a, b) => (a.file < b.file ? -1 : 1))
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', ' ')}'`
}

async function commandLine({ file, owner, name }: Extension, problems: string[]): Promise<string[]> {
  try {
    const loaded = (await import(pathToFileURL(join(root, 'src', file)).href)) as { default: { summary?: unknown; under?: string } }
    const { summary, under } = loaded.default
    const above = owner || under // what several capabilities are needed for stands in src/commands, under the name of the one that it is about
    const path = [...(above ? [above] : []), name].map(quoted).join(', ')
    if (typeof summary === 'string') return [`  { path: [${path}], summary: ${quoted(summary)}, load: () => import('./${file}') },`]
    problems.push(`src/${file} is no command: its default export has no summary; declare it with command({ summary, … })`)
  } catch (error) {
    problems.push(`src/${file} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`)
  }
  return []
}

function extensionLine({ file, owner, name }: Extension): string {
  return `  { owner: ${quoted(owner)}, name: ${quoted(name)}, load: () => import('./${file}') },`
}

function list(lines: readonly string[]): string {
  return lines.length === 0 ? '[]' : `[\n${lines.join('\n')}\n]`
}

async function generated(problems: string[]): Promise<string> {
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && !notCapabilities.has(entry.name),
  )
  const capabilities = folders.map((entry) => entry.name).sort()
  const parts = [
    '// Every extension file with a lazy import: made by scripts/generate.ts, do not edit (npm run generate).',
    "import type { CommandEntry } from './base/terminal/command.ts'",
    '',
  ]
  for (const [point, patterns] of Object.entries(points)) {
    const files = filesOf(capabilities, patterns, problems)
    const lines =
      point === 'commands' ? (await Promise.all(files.map((file) => commandLine(file, problems)))).flat() : files.map(extensionLine)
    if (point === 'commands') parts.push(`export const commands: readonly CommandEntry[] = ${list(lines)}`, '')
    else if (lines.length > 0) parts.push(`export const ${point} = ${list(lines)}`, '')
  }
  return parts.join('\n')
}

/** The pages of the dashboard, for its own bundle; undefined for a tree that has none. */
async function webPages(problems: string[]): Promise<string | undefined> {
  const folder = 'src/web/pages'
  if (!existsSync(join(root, folder))) return undefined
  const names = readdirSync(join(root, folder)).flatMap((file) => /^([\w-]+)\.tsx$/.exec(file)?.[1] ?? [])
  for (const name of names.filter((one) => !/^export default page\(/m.test(readFileSync(join(root, folder, `${one}.tsx`), 'utf8'))))
    problems.push(`${folder}/${name}.tsx is no page: its default export is page({ title, … })`)
  names.sort()
  const valueOf = (name: string): string => name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
  return [
    '// Every page of the dashboard, in the order of the navigation: made by scripts/generate.ts, do not edit (npm run generate).',
    "import type { Page } from './page.ts'",
    ...names.map((name) => `import ${valueOf(name)} from './pages/${name}.tsx'`),
    '',
    'export const pages: readonly (Page & { readonly id: string })[] = [',
    ...names.map((name) => `  { id: ${quoted(name)}, ...${valueOf(name)} },`),
    '].sort((a, b) => a.order - b.order)',
    '',
  ].join('\n')
}

/** The machine tools, as a page for people; undefined for a tree that has none. */
async function toolsPage(problems: string[]): Promise<string | undefined> {
  if (!existsSync(join(root, 'src/operate/permissions.ts'))) return undefined
  const load = async (file: string): Promise<unknown> => import(pathToFileURL(join(root, 'src', file)).href)
  const { permissionPage, permissionTable } = (await load('operate/permissions.ts')) as typeof import('../src/operate/permissions.ts')
  const loaded = await Promise.all(filesOf(['operate'], ['*/tools'], problems).map(({ file }) => load(file)))
  const tools = (loaded as { default: Parameters<typeof permissionTable>[0][number] }[]).map((one) => one.default)
  return permissionPage(permissionTable(tools))
}

const targets: Readonly<Record<string, (problems: string[]) => Promise<string | undefined>>> = {
  'src/extensions.ts': generated,
  'src/web/pages.ts': webPages,
  'docs/reference/machine-tools.md': toolsPage,
  'docs/reference/commands.md': () => commandsPage(root),
  'docs/reference/config.md': () => configPage(root),
  'man/man1/fairlead.1': () => manPage(root),
  'docs/reference/faults.md': (problems) => faultsPage(root, problems),
  'docs/reference/metrics.md': () => metricsPage(root),
}

/** Writes what is right even when some files are not; the exit code is 1 for those, and with `isCheck` for a stale file. */
async function main(isCheck: boolean): Promise<number> {
  const problems: string[] = []
  for (const [target, make] of Object.entries(targets)) {
    const wanted = await make(problems)
    if (wanted === undefined) continue
    const path = join(root, target)
    const present = existsSync(path) ? readFileSync(path, 'utf8') : ''
    if (wanted !== present && isCheck) problems.push(`${target} is stale: run \`npm run generate\` and commit the result`)
    if (wanted === present || isCheck) continue
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, wanted)
  }
  for (const problem of problems) process.stderr.write(`generate: error: ${problem}\n`)
  return problems.length > 0 ? 1 : 0
}

process.exitCode = await main(process.argv.includes('--check'))
