// Has the proxy that runs here joined its group?
import { bad, good } from '../../base/checks/check.ts'
import type { ShareCheck } from '../examination.ts'

const joined: ShareCheck = {
  title: 'asking the proxy for its host',
  needs: ['running'],
  after: ['cache-keys', 'key-match'],
  async run({ told }) {
    const found = await told()
    if (found?.role === 'host') return [good(`connected peers: ${found.connected.length}`)]
    if (found?.role === 'alone')
      return [bad('the proxy was started without MCP_P2P_BOOTSTRAP_PEERS, and is alone', 'set it, and start the proxy again')]
    if (found?.connected.length) return [good(`connected to ${found.connected.map(({ peer }) => peer).join(', ')}`)]
    return [bad('the proxy is alone at the moment', 'mend what is bad above: it tries again by itself, at the latest after a minute')]
  },
}

export default joined
