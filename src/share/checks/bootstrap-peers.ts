// Does this machine know where the host is?
import { bad, good } from '../../base/checks/check.ts'
import type { ShareCheck } from '../examination.ts'

const bootstrapPeers: ShareCheck = {
  title: 'looking for the address of the host',
  async run({ bootstrap, told }) {
    const ways = bootstrap()
    if (ways.length > 0) return [good(`MCP_P2P_BOOTSTRAP_PEERS has ${ways.length}`)]
    if ((await told())?.role === 'host') return []
    const remedy = 'on the host: fairlead share address --public-ip IP; put that line into the secret MCP_P2P_BOOTSTRAP_PEERS'
    return [bad('No bootstrap peers configured: MCP_P2P_BOOTSTRAP_PEERS is empty', remedy)]
  },
}

export default bootstrapPeers
