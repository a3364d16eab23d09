// Does a proxy or a host run here?
import { bad, good } from '../../base/checks/check.ts'
import type { ShareCheck } from '../examination.ts'

const running: ShareCheck = {
  title: 'asking the proxy or host of this machine',
  async run({ told }) {
    const found = await told()
    if (found) return [good(`a ${found.role === 'host' ? 'host' : 'proxy'} runs here: ${found.peer_id}`)]
    return [
      bad(
        'neither a proxy nor a host runs here',
        'on a runner: fairlead share proxy; on the host: systemctl status ipfs-accelerate-mcp, or fairlead share host',
      ),
    ]
  },
}

export default running
