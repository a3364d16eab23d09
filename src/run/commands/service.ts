// A service's definition: shown as the node has it, edited and checked here, and taken over from the node.
import { type Context, command } from '../../base/terminal/command.ts'
import { textDiff } from '../../base/terminal/text-diff.ts'
import { readText } from '../../kernel/file.ts'
import { allDefinitions, definitionFile, definitionIn, placeOf, saveDefinition } from '../cli/definitions.ts'
import { editDefinition, newDefinition } from '../cli/edit-definition.ts'
import { fault } from '../cli/faults.ts'
import { cliFiles } from '../cli/files.ts'
import { nodeEntries } from '../cli/nodes.ts'
import { findService } from '../cli/whereabouts.ts'

const problemsFound = 3

export default command({
  summary: 'show, edit, export or check the definition of a service',
  description:
    '`show` prints it as the node has it; `edit` opens the one on this machine in $EDITOR, and saves it when it is good; `export` replaces the one on this machine by that of the node; `check` reads one, a file, or all, and tells what is wrong with file, line and key (exit code 3 when several were asked for).',
  args: {
    action: { summary: 'show, edit, export or check', choices: ['show', 'edit', 'export', 'check'] },
    service: { summary: 'the service; for check also a FILE, or nothing for all', optional: true },
  },
  flags: { node: { summary: 'the node to ask, when the definition here does not say', value: 'NAME' } },
  examples: [
    ['fairlead run service show metacrypt', 'as its node has it'],
    ['fairlead run service edit metacrypt', 'edit it here'],
    ['fairlead run service export metacrypt', 'take it over from its node'],
    ['fairlead run service check', 'all of them'],
  ],
  async run(context, { args, flags }) {
    const { action, service } = args
    if (action === 'check') return check(context, service)
    if (service === undefined) throw fault.missing_word({ command: `service ${action}`, word: 'a service' })
    const { service: name } = placeOf(service)
    if (action === 'edit') return edit(context, name, flags.node)
    return fromNode(context, name, flags.node, action === 'export')
  },
})

async function check({ terminal, ...context }: Context, what: string | undefined): Promise<number> {
  const files = cliFiles(context)
  if (what !== undefined) {
    const { file } = /[/.]/.test(what) ? await definitionIn(what) : await definitionIn(definitionFile(files, placeOf(what).service), what)
    terminal.result({ file, problems: [] }, () => `${file}: good`)
    return 0
  }
  const { good, problems } = await allDefinitions(files)
  const known = new Set((await nodeEntries(files)).map(({ name }) => name))
  const strays = good.filter(({ service }) => known.size > 0 && !known.has(service.node))
  const all = [...problems, ...strays.map(({ file, service }) => `${file} node: there is no node ${service.node} (mcp node list)`)]
  terminal.result({ folder: files.services, good: good.map(({ file }) => file), problems: all }, () =>
    [...all, `${good.length + problems.length} definitions, ${all.length === 0 ? 'all good' : `${all.length} with problems`}`].join('\n'),
  )
  return all.length === 0 ? 0 : problemsFound
}

async function edit(context: Context, service: string, node: string | undefined): Promise<void> {
  const files = cliFiles(context)
  const there = readText(definitionFile(files, service))
  const first = node ?? (await nodeEntries(files))[0]?.name ?? 'NODE'
  const { file, isChanged } = await editDefinition(context, files, service, there ?? newDefinition(service, first))
  context.terminal.result({ file, isChanged }, () =>
    isChanged ? `saved ${file}; to run it: mcp deploy ${service}` : `${file} is as it was`,
  )
}

async function fromNode(context: Context, service: string, named: string | undefined, isExport: boolean): Promise<void> {
  const { terminal, signal } = context
  const files = cliFiles(context)
  const { node } = await findService(context, service, { node: named, isDefinitionOptional: isExport })
  const [listed] = await node.client().calls['read-definitions']({ service }, { signal })
  if (!listed) throw fault.unknown_service({ service, unheard: [] })
  const { text } = listed
  if (!isExport) return terminal.result({ node: node.name, service, text }, () => text)
  const before = readText(definitionFile(files, service))
  const file = before === text ? definitionFile(files, service) : saveDefinition(files, service, text)
  terminal.result({ node: node.name, service, file, isChanged: before !== text }, () =>
    before === text ? `${file} is as it was` : `${textDiff(file, before, text, 3)}\nsaved ${file}`,
  )
}
