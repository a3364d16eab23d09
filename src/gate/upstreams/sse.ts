// An upstream of the older HTTP+SSE transport (2024-11-05): each leg is an event stream of its own. Our own token goes with every request; a client's never does.
import { openSseWire } from '../../base/mcp/leg/sse.ts'
import { wireLeg } from '../../base/mcp/leg/wire.ts'
import type { UpstreamKind } from '../upstream-kind.ts'

const sse: UpstreamKind = {
  key: 'sse',
  async transport({ client, clock, limits, reveal }, name, { sse: address, token }) {
    const headers: Record<string, string> = token ? { authorization: `Bearer ${(await reveal(token)).reveal()}` } : {}
    const url = new URL(address!)
    return {
      isCostly: true,
      open: async (era, side) => wireLeg(await openSseWire({ client, clock, url, name, headers, limits }), era, name, side),
    }
  },
}

export default sse
