// Tells the nodes what is defined here, without touching what runs.
import { command } from '../../base/terminal/command.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { type Definition, goodDefinitions } from '../cli/definitions.ts'
import { type KnownNode, openNodes } from '../cli/nodes.ts'
import type { NodeClient } from '../client.ts'

type Synced = Awaited<ReturnType<NodeClient['calls']['sync']>>['services']

/** An input of the node's may have 1 MiB; JSON makes a text longer. */
const maxBatchBytes = 384 << 10

export default command({
  summary: 'tell the nodes what is defined here; nothing that runs is touched',
  description:
    'All definitions are checked first: one that is bad changes nothing anywhere. Afterwards a node starts what is active and missing; a changed image or setting waits for deploy. What is no longer defined stays: mcp purge.',
  flags: { 'dry-run': { summary: 'only show what would change' } },
  examples: [
    ['fairlead run sync --dry-run', 'what would change, field by field'],
    ['fairlead run sync', 'tell them'],
  ],
  async run(context, { flags }) {
    const { terminal, signal } = context
    const nodes = await openNodes(context)
    const definitions = await goodDefinitions(nodes.files)
    const byNode = Map.groupBy(definitions, ({ service }) => service.node)
    const wanted = [...byNode].map(([name, list]) => ({ node: nodes.named(name), list })) // an unknown node is told before anything is sent
    const isDryRun = flags['dry-run']
    const synced = await Promise.allSettled(wanted.map(({ node, list }) => syncNode(node, list, isDryRun, signal)))
    const done = synced.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
    const failed = synced.find((one) => one.status === 'rejected')
    if (done.length > 0 || !failed) terminal.result({ isDryRun, services: done }, () => syncedText(done, isDryRun))
    if (failed) throw failed.reason
  },
})

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
