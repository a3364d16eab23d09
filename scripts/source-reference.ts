// Makes the pages of docs/reference that are read out of the source itself: every fault in a catalogue, and every metric.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const made = 'Made by scripts/generate.ts from the source: do not edit (npm run generate).'

/** A node of the syntax tree (ESTree); only what is read here. */
type Node = { readonly type: string; readonly start: number; readonly end: number; readonly [key: string]: unknown }

type Fault = { readonly code: string; readonly kinds: readonly string[]; readonly message: string; readonly hint: string }
type Metric = { readonly name: string; readonly type: string; readonly help: string }

/** The syntax tree of each file below src that has `word` in it; tests are left out. */
async function parsed(root: string, word: string): Promise<{ readonly file: string; readonly text: string; readonly tree: Node }[]> {
  const { parseAst } = await import('rolldown/parseAst')
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  const sources = files.filter((file) => file.endsWith('.ts') && !/\.(test|fixture)\.ts$/.test(file)).sort()
  return sources.flatMap((file) => {
    const text = readFileSync(join(root, 'src', file), 'utf8')
    return text.includes(word) ? [{ file, text, tree: parseAst(text, { lang: 'ts' }) as unknown as Node }] : []
  })
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value
}

/** The node and all below it, in the order of the source. */
function* within(node: Node): Generator<Node> {
  yield node
  for (const value of Object.values(node)) {
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) if (isNode(one)) yield* within(one)
  }
}

/** What a person reads where the program puts a text together: `<name>` for what is only known then, ` / ` between the texts that it chooses from. */
function shown(node: Node, source: string): string {
  if (node.type === 'Literal') return String(node['value'])
  if (node.type === 'TemplateLiteral') {
    const texts = node['quasis'] as readonly { readonly value: { readonly cooked: string } }[]
    const values = node['expressions'] as readonly Node[]
    return texts.map(({ value }, at) => value.cooked + (values[at] ? inserted(values[at], source) : '')).join('')
  }
  if (node.type === 'BinaryExpression' && node['operator'] === '+')
    return shown(node['left'] as Node, source) + shown(node['right'] as Node, source)
  if (node.type === 'ConditionalExpression') {
    const choices = [node['consequent'], node['alternate']].map((choice) => shown(choice as Node, source))
    return choices.filter((text) => text !== '' && text !== 'undefined').join(' / ')
  }
  return inserted(node, source)
}

/** One value in a text, by the name of the detail that it is made of; or the choices between texts. */
function inserted(node: Node, source: string): string {
  if (node.type === 'Identifier') return node['name'] === 'undefined' ? '' : `<${String(node['name'])}>`
  if (node.type === 'ConditionalExpression' || node.type === 'TemplateLiteral' || node.type === 'Literal') return shown(node, source)
  const all = [...within(node)]
  const called = new Set(all.filter(({ type }) => type === 'CallExpression').map((call) => call['callee']))
  const methods = new Set(all.filter((one) => called.has(one)).map((one) => one['property']))
  const isDetail = (one: Node): boolean => one.type === 'MemberExpression' && one['computed'] === false && isValue(one['object'] as Node)
  const isValue = (one: Node): boolean =>
    one.type === 'Identifier' && /^[a-z]/.test(String(one['name'])) && !called.has(one) && !methods.has(one)
  const detail = all.find((one) => isDetail(one) && !called.has(one))
  const value = detail ? (detail['property'] as Node) : all.find(isValue)
  return `<${value ? String(value['name']) : source.slice(node.start, node.end).replaceAll(/\W+/g, ' ').trim()}>`
}

function valueOf(object: Node, key: string): Node | undefined {
  const properties = object['properties'] as readonly Node[]
  return properties.find((one) => one.type === 'Property' && (one['key'] as Node)['name'] === key)?.['value'] as Node | undefined
}

/** All of one entry's outcomes: most have one, some choose between several. */
function faultsOf(code: string, entry: Node, source: string): Fault[] {
  const failures = [...within(entry)].filter(
    (node) => node.type === 'ObjectExpression' && valueOf(node, 'kind') && valueOf(node, 'message'),
  )
  return failures.map((failure) => {
    const hint = valueOf(failure, 'hint')
    return {
      code,
      kinds: shown(valueOf(failure, 'kind')!, source).split(' / '),
      message: shown(valueOf(failure, 'message')!, source),
      hint: hint ? shown(hint, source) : '',
    }
  })
}

/** Calls of `name(…)`, or of `….name(…)`, in the tree. */
function callsOf(tree: Node, names: readonly string[]): { readonly name: string; readonly given: readonly Node[] }[] {
  return [...within(tree)].flatMap((node) => {
    if (node.type !== 'CallExpression') return []
    const callee = node['callee'] as Node
    const name = String((callee.type === 'MemberExpression' ? (callee['property'] as Node) : callee)['name'])
    return names.includes(name) ? [{ name, given: node['arguments'] as readonly Node[] }] : []
  })
}

/** Every fault of every catalogue, with what each becomes outside. Undefined for a tree without faults. */
export async function faultsPage(root: string, problems: string[]): Promise<string | undefined> {
  const table = join(root, 'src/kernel/fault.ts')
  if (!existsSync(table)) return undefined
  const { outside } = (await import(pathToFileURL(table).href)) as typeof import('../src/kernel/fault.ts')
  const byArea = new Map<string, Fault[]>()
  for (const { file, text, tree } of await parsed(root, 'faults(')) {
    for (const { given } of callsOf(tree, ['faults'])) {
      const [area, entries] = given
      if (area?.type !== 'Literal' || entries?.type !== 'ObjectExpression') continue
      const name = String(area['value'])
      const found = (entries['properties'] as readonly Node[]).flatMap((entry) => {
        const code = `${name}.${String((entry['key'] as Node | undefined)?.['name'])}`
        const all = faultsOf(code, entry, text)
        if (all.length === 0)
          problems.push(
            `src/${file}: ${code} says nothing that scripts/source-reference.ts could read: write kind and message in the entry`,
          )
        return all
      })
      byArea.set(name, [...(byArea.get(name) ?? []), ...found])
    }
  }
  const kinds = Object.entries(outside).map(
    ([kind, { exitCode, httpStatus, rpcCode }]) => `| ${kind} | ${exitCode} | ${httpStatus} | ${rpcCode} |`,
  )
  const areas = [...byArea]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([area, all]) => {
      const rows = all.map(({ code, kinds: is, message, hint }) => {
        const exits = is.map(
          (kind) => (outside as Readonly<Record<string, { readonly exitCode: number } | undefined>>)[kind]?.exitCode ?? '',
        )
        return `| \`${code}\` | ${is.join(' / ')} | ${[...new Set(exits)].join(' / ')} | ${cell(message)} | ${cell(hint)} |`
      })
      return `## ${area}\n\n| code | kind | exit | what is said | what to do |\n|---|---|---|---|---|\n${rows.join('\n')}\n`
    })
  const intro =
    'What was asked and could not be done. `--json` gives `code`, `kind`, `message`, `hint` and `details`: compare the code, never the text. `<name>` stands for what is only known when it happens. A daemon’s answer and a file of services may carry further codes, made where they are read; an error that is in no list is `fairlead.bug`, exit code 70.'
  const head = `## Kinds\n\nThe kind decides what a fault becomes outside.\n\n| kind | exit code | HTTP status | JSON-RPC error |\n|---|---|---|---|\n${kinds.join('\n')}\n`
  return [`# Faults\n\n${made}\n\n${intro}\n`, head, ...areas].join('\n')
}

/** Every metric for Prometheus, and what the machine server keeps in its database. Undefined for a tree without metrics. */
export async function metricsPage(root: string): Promise<string | undefined> {
  const machine = join(root, 'src/operate/metrics')
  if (!existsSync(join(machine, 'series.ts'))) return undefined
  const { seriesNames, seriesMeaning } = (await import(
    pathToFileURL(join(machine, 'series.ts')).href
  )) as typeof import('../src/operate/metrics/series.ts')
  const bySource = new Map<string, Metric[]>()
  for (const { file, text, tree } of await parsed(root, 'Exposition')) {
    const found = callsOf(tree, ['gauge', 'counter', 'histogram']).flatMap(({ name: type, given: [name, help] }): Metric[] => {
      if (!name || !help) return []
      if (name.type === 'Literal') return [{ name: shown(name, text), type, help: shown(help, text) }]
      return seriesNames.map((series) => ({ name: shown(name, text).replace('<name>', series), type, help: seriesMeaning[series] }))
    })
    const owner = file.split('/')[0]!
    if (found.length > 0) bySource.set(owner, [...(bySource.get(owner) ?? []), ...found])
  }
  const parts = [...bySource].map(([owner, metrics]) => {
    const rows = metrics.map(({ name, type, help }) => `| \`${name}\` | ${type} | ${cell(help)} |`)
    return `## ${owner}\n\n| metric | kind | what it is |\n|---|---|---|\n${rows.join('\n')}\n`
  })
  const intro =
    'For Prometheus, at `/metrics`. A histogram has `_bucket`, `_sum` and `_count`. What is not known on a machine is left out, never 0.'
  const kept = seriesNames.map((name) => `| \`${name}\` | ${cell(seriesMeaning[name])} |`)
  const database = `## The database of the machine server\n\n\`metrics.db\`, the view \`metrics\`: \`timestamp\` (seconds since 1970), \`metric_type\`, \`value\`. What is kept for how long: \`fairlead guide machine-records\`.\n\n| metric_type | what it is |\n|---|---|\n${kept.join('\n')}\n`
  return [`# Metrics\n\n${made}\n\n${intro}\n`, ...parts, database].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ').replaceAll('<', '&lt;')
}
