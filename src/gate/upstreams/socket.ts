// An upstream on a UNIX socket of this machine: each leg is a connection, one frame a line.
import { wireLeg } from '../../base/mcp/leg/wire.ts'
import { connectUnix } from '../../base/wire/unix.ts'
import type { UpstreamKind } from '../upstream-kind.ts'

const socket: UpstreamKind = {
  key: 'socket',
  async transport({ limits, pathOf }, name, { socket: path }) {
    return {
      isCostly: true,
      open: async (era, side) => wireLeg(await connectUnix(pathOf(path!), { limits }), era, name, side),
    }
  },
}

export default socket
