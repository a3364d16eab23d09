// The nodes that the dashboard shows: those of `mcp.toml`, as `mcp` reaches them, or the agent of this machine.
import { asFault } from '../kernel/fault.ts'
import { type ReachableSource, reachable } from '../base/control/reachable.ts'
import { openNodes } from './cli/nodes.ts'
import { nodeApi } from './node-api.ts'

const source: ReachableSource = {
  async find({ homes, ...needs }) {
    const found = homes.map(async ({ folders, alias }) => {
      try {
        return (await openNodes({ ...needs, folders, ...(alias === undefined ? {} : { alias }) })).all
      } catch (error) {
        if (asFault(error).code === 'mcp.no_nodes') return []
        throw error
      }
    })
    const nodes = (await Promise.all(found)).flat()
    return nodes.map(({ name, address, client }) =>
      reachable({ id: `node.${name}`, kind: 'node', name, where: address }, nodeApi, () => client().calls),
    )
  },
}

export default source
