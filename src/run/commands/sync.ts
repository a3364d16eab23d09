// Tells the nodes what is defined here, without touching what runs.
import { type Context, command } from '../../base/terminal/command.ts'
import { confirm, isPersonAt } from '../../base/terminal/confirm.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { type Definition, goodDefinitions } from '../cli/definitions.ts'
import { fault } from '../cli/faults.ts'
import { definitionsDiff, gitDefinitions } from '../cli/git-definitions.ts'
import { type KnownNode, openNodes } from '../cli/nodes.ts'
import type { NodeClient } from '../client.ts'

type Synced = Awaited<ReturnType<NodeClient['calls']['sync']>>['services']

/** An input of the node's may have 1 MiB; JSON makes a text longer. */
const maxBatchBytes = 384 << 10

export default command({
  summary: 'tell the nodes what is defined here; nothing that runs is touched',
  description:
    'All definitions are checked first: one that is bad changes nothing anywhere. Afterwards a node starts what is active and missing; a changed image or setting waits for deploy. What is no longer defined stays: mcp purge. With --from the definitions are those that are committed in a git checkout: what differs from what the nodes know is shown first, as git shows it, and you are asked.',
  flags: {
    'dry-run': { summary: 'only show what would change' },
    from: { summary: 'a git checkout, or a folder in one, with the definitions in it or in its services/', value: 'FOLDER' },
    ref: { summary: 'of --from: the commit, branch or tag; HEAD by default', value: 'REF' },
    force: { summary: 'of --from: also when something there is not committed, without that' },
    yes: { summary: 'of --from: do not ask' },
  },
  examples: [
    ['fairlead run sync --dry-run', 'what would change, field by field'],
    ['fairlead run sync', 'tell them'],
    ['fairlead run sync --from ~/cluster --ref v12', 'what is committed there, after a look at the difference'],
  ],
  async run(context, { flags }) {
    const { terminal, signal } = context
    const nodes = await openNodes(context)
    for (const flag of ['ref', 'force', 'yes'] as const)
      if (flags[flag] && flags.from === undefined) throw fault.only_with({ flag, other: 'from' })
    const { from, ref = 'HEAD', force } = flags
    const git = from === undefined ? undefined : await gitDefinitions(context, { folder: from, ref, force })
    const definitions = git?.definitions ?? (await goodDefinitions(nodes.files))
    const byNode = Map.groupBy(definitions, ({ service }) => service.node)
    const wanted = [...byNode].map(([name, list]) => ({ node: nodes.named(name), list })) // an unknown node is told before anything is sent
    const isDryRun = flags['dry-run']
    if (git) await agree(context, wanted, { ...git, isAsked: !isDryRun && !flags.yes })
    const synced = await Promise.allSettled(wanted.map(({ node, list }) => syncNode(node, list, isDryRun, signal)))
    const done = synced.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
    const failed = synced.find((one) => one.status === 'rejected')
    if (done.length > 0 || !failed) terminal.result({ isDryRun, services: done }, () => syncedText(done, isDryRun))
    if (failed) throw failed.reason
  },
})

/** Shows what differs from what the nodes know, and asks if anything does. Fault `mcp.not_agreed`. */
async function agree(
  context: Context,
  wanted: readonly { readonly node: KnownNode; readonly list: readonly Definition[] }[],
  { commit, subject, isAsked }: { readonly commit: string; readonly subject: string; readonly isAsked: boolean },
): Promise<void> {
  const { terminal, signal, stdin } = context
  const diffs = await Promise.all(
    wanted.map(async ({ node, list }) => {
      const known = await node.client().calls['read-definitions']({}, { signal })
      return definitionsDiff(context, new Map(known.map(({ name, text }) => [name, text])), list)
    }),
  )
  const diff = diffs.join('')
  const title = visibleText(`${commit.slice(0, 12)} ${subject}`)
  if (diff === '') return terminal.note(`${title}: as the nodes know it`)
  terminal.log(`${visibleText(diff)}\n${title}`)
  if (!isAsked) return
  if (!isPersonAt(stdin) || !(await confirm(context, 'Sync it?'))) throw fault.not_agreed({ commit: title })
}

async function syncNode(
  node: KnownNode,
  definitions: readonly Definition[],
  isDryRun: boolean,
  signal: AbortSignal,
): Promise<readonly (Synced[number] & { readonly node: string })[]> {
  const client = node.client()
  const done: (Synced[number] & { readonly node: string })[] = []
  for (const texts of batches(definitions.map(({ text }) => text))) {
    const { services } = await client.calls.sync({ texts, isDryRun }, { signal })
    done.push(...services.map((one) => ({ node: node.name, ...one })))
  }
  return done
}

function batches(texts: readonly string[]): string[][] {
  const all: string[][] = []
  let room = 0
  for (const text of texts) {
    const sizeBytes = JSON.stringify(text).length * 2
    if (all.length === 0 || sizeBytes > room) {
      all.push([])
      room = maxBatchBytes
    }
    all.at(-1)!.push(text)
    room -= sizeBytes
  }
  return all
}

function syncedText(services: readonly (Synced[number] & { readonly node: string })[], isDryRun: boolean): string {
  const changed = services.filter(({ change }) => change !== 'same')
  const lines = changed.flatMap(({ node, name, change, changes }) => [
    `${node}: ${name}: ${change}`,
    ...changes.map(({ field, from, to }) => visibleText(`  ${field}: ${from} -> ${to}`)),
  ])
  const sum = `${services.length} definitions, ${changed.length} ${isDryRun ? 'would change' : 'changed'}`
  return [...lines, sum].join('\n')
}
