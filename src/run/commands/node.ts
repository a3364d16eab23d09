// The nodes that this machine knows: added with what is believed of them pinned, listed, looked at, removed.
import { type Context, command } from '../../base/terminal/command.ts'
import { percentText, sizeText, durationText } from '../../base/terminal/amount.ts'
import { tableText } from '../../base/terminal/table.ts'
import { addNode, removeNode } from '../cli/add-node.ts'
import { fault } from '../cli/faults.ts'
import { cliFiles } from '../cli/files.ts'
import { type Nodes, nodeEntries, openNodes } from '../cli/nodes.ts'
import { afterSilence, silence, silenceText } from '../cli/shown.ts'

export default command({
  summary: 'list, add, remove or look at nodes',
  description:
    '`add` pins the certificate authority of an agent over HTTPS: its fingerprint is shown, to be compared with what the node itself says, unless --fingerprint or --ca say which it must be. Tokens: mcp login. On the node itself the address is unix:PATH, the folder of its sockets, and needs none. peer:ID is a node that answers peers (peers in mcp-agent.toml), wherever it is: its key is its id, and ours is on its list.',
  args: {
    action: { summary: 'list, add, remove or status', choices: ['list', 'add', 'remove', 'status'] },
    name: { summary: 'what definitions call it', optional: true },
    address: { summary: 'of add: HOST[:9444], unix:PATH, or peer:ID', optional: true },
  },
  flags: {
    ca: { summary: 'of add: the certificate authority (PEM) that it must have', value: 'FILE' },
    fingerprint: { summary: 'of add: the SHA-256 of that authority', value: 'AB:CD:…' },
  },
  examples: [
    ['fairlead run node add rift 100.64.0.7', 'compare the fingerprint that is shown, and say yes'],
    ['fairlead run node add here unix:/srv/mcp/run', 'the agent of this machine'],
    ['fairlead run node add tarn peer:12D3KooWExample', 'a node behind NAT, without an open port'],
    ['fairlead run node status', 'version, runtime, memory and disk of all'],
  ],
  async run(context, { args, flags }) {
    const { action, name, address } = args
    if (action === 'list') return list(context)
    if (action === 'status') return status(context, name)
    if (name === undefined) throw fault.missing_word({ command: `node ${action}`, word: 'a name' })
    if (action === 'remove') {
      await removeNode(cliFiles(context), name)
      return context.terminal.result({ name }, () => `${name} is no longer known here; what runs there goes on`)
    }
    if (address === undefined) throw fault.missing_word({ command: 'node add', word: 'an address' })
    const added = await addNode(context, { name, address, authority: flags.ca, fingerprint: flags.fingerprint })
    context.terminal.result(
      added,
      () => `${name} is known, at ${address}${added.fingerprint === null ? '' : `; pinned ${added.fingerprint}`}`,
    )
  },
})

async function list(context: Context): Promise<number> {
  const { terminal, clock } = context
  const files = cliFiles(context)
  const nodes = (await nodeEntries(files)).length === 0 ? await openNodes(context).catch(() => undefined) : await openNodes(context)
  if (!nodes) {
    terminal.result({ nodes: [] }, () => `${files.config} names no node; mcp node add NAME ADDRESS`)
    return 0
  }
  const answers = await describe(nodes)
  terminal.result(
    {
      nodes: answers.map((one) => ({
        name: one.node.name,
        address: one.node.address,
        ...(silence(one) ?? { isHeard: true, version: one.value!.version }),
      })),
    },
    () =>
      tableText([
        ['NAME', 'ADDRESS', 'VERSION'],
        ...answers.map((asked) => [
          asked.node.name,
          asked.node.address,
          asked.fault ? silenceText(clock.now(), asked) : asked.value.version,
        ]),
      ]),
  )
  return afterSilence(terminal, answers)
}

async function status(context: Context, name: string | undefined): Promise<number> {
  const { terminal, clock } = context
  const nodes = await openNodes(context)
  const answers = await describe(nodes, name)
  terminal.result({ nodes: answers.map((one) => silence(one) ?? { isHeard: true, ...one.value }) }, () =>
    tableText([
      ['NODE', 'VERSION', 'RUNTIME', 'UP', 'LOAD', 'MEMORY', 'DISK'],
      ...answers.map((asked) => {
        if (asked.fault) return [asked.node.name, '-', '-', '-', '-', '-', silenceText(clock.now(), asked)]
        const { node, version, runtime, isSimulated, uptimeSeconds, load, memoryBytes, diskBytes } = asked.value
        return [
          node,
          version,
          `${runtime}${isSimulated ? ' (simulated)' : ''}`,
          durationText(uptimeSeconds),
          load.toFixed(2),
          usedText(memoryBytes),
          usedText(diskBytes),
        ]
      }),
    ]),
  )
  return afterSilence(terminal, answers)
}

function describe(nodes: Nodes, name?: string) {
  const of = name === undefined ? nodes.all : [nodes.named(name)]
  return nodes.ask((client, signal) => client.calls['describe-node']({}, { signal }), of)
}

function usedText({ total, free }: { readonly total: number; readonly free: number }): string {
  return `${percentText(total === 0 ? 0 : (100 * (total - free)) / total)} of ${sizeText(total)}`
}
