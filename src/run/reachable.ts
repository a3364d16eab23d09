// The nodes that the dashboard shows: those of `mcp.toml`, as `mcp` reaches them, or the agent of this machine.
import { type ReachableSource, reachable } from '../base/control/reachable.ts'
import { knownNodes } from './cli/nodes.ts'
import { nodeApi } from './node-api.ts'

const source: ReachableSource = {
  async find({ homes, ...needs }) {
    const found = homes.map(({ folders, alias }) => knownNodes({ ...needs, folders, ...(alias === undefined ? {} : { alias }) }))
    const nodes = (await Promise.all(found)).flatMap(({ all }) => all)
    return nodes.map(({ name, address, client }) =>
      reachable({ id: `node.${name}`, kind: 'node', name, where: address }, nodeApi, () => client().calls),
    )
  },
}

export default source
