// An upstream that a peer serves: each leg is a tunnel to it. How peers are reached, the composer knows.
import { wireLeg } from '../../base/mcp/leg/wire.ts'
import { fault } from '../faults.ts'
import type { UpstreamKind } from '../upstream-kind.ts'

const peer: UpstreamKind = {
  key: 'peer',
  async transport({ dialPeer, limits }, name, { peer: id, addresses }) {
    if (!dialPeer) throw fault.no_peers({ upstream: name })
    return {
      isCostly: true,
      open: async (era, side) => wireLeg(await dialPeer({ peer: id!, addresses, limits }), era, name, side),
    }
  },
}

export default peer
