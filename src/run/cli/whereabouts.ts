// On which node a service is: as its definition says, else the node that knows it.
import type { Context } from '../../base/terminal/command.ts'
import { asFault } from '../../kernel/fault.ts'
import { type Definition, definitionOf } from './definitions.ts'
import { fault } from './faults.ts'
import { type KnownNode, type Nodes, openNodes } from './nodes.ts'

export type Found = { readonly nodes: Nodes; readonly node: KnownNode; readonly definition: Definition | undefined }

export type Given = {
  /** Instead of the one on this machine. */
  readonly definition?: Definition | undefined
  readonly node?: string | undefined
  /** One that cannot be read is as none: it is to be replaced. */
  readonly isDefinitionOptional?: boolean
}

/** Faults `config.*`, `mcp.no_nodes`, `.no_node`, `.unknown_service`, `.several_nodes`. */
export async function findService(context: Context, service: string, given: Given = {}): Promise<Found> {
  const nodes = await openNodes(context)
  const definition =
    given.definition ??
    (await definitionOf(nodes.files, service).catch((error: unknown) => {
      if (given.isDefinitionOptional && asFault(error).kind === 'config') return undefined
      throw error
    }))
  const named = given.node ?? definition?.service.node
  if (named !== undefined) return { nodes, node: nodes.named(named), definition }
  const answers = await nodes.ask((client, signal) => client.calls['list-services']({}, { signal }))
  const holders = answers.filter(({ value }) => value?.some(({ name }) => name === service))
  const [holder, ...more] = holders
  if (more.length > 0) throw fault.several_nodes({ service, nodes: holders.map(({ node }) => node.name) })
  if (!holder) {
    const unheard = answers.filter((one) => one.fault)
    if (answers.length === 1 && unheard[0]?.fault) throw unheard[0].fault
    throw fault.unknown_service({ service, unheard: unheard.map(({ node }) => node.name) })
  }
  return { nodes, node: holder.node, definition }
}
