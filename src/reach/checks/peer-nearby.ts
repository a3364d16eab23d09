// Is the peer on our own network, where it is found with nobody's help?
import { good } from '../../base/checks/check.ts'
import type { ReachCheck } from '../examination.ts'

const peerNearby: ReachCheck = {
  title: 'asking for the peer on the local network',
  after: ['peer-registered'],
  async run({ nearby }) {
    const found = await nearby()
    if (!found) return []
    if (found.length === 0)
      return [good('nobody on this network answers for it, and nobody has to: it is elsewhere, or listens here on loopback only')]
    return found.map((address) => good('somebody on this network answers for it', address))
  },
}

export default peerNearby
