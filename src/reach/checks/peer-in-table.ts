// Do nodes of the distributed hash table answer, and does one of them know where the peer is?
import { bad, good } from '../../base/checks/check.ts'
import type { ReachCheck } from '../examination.ts'

const peerInTable: ReachCheck = {
  title: 'asking the distributed hash table',
  timeoutMs: 15_000,
  after: ['wallet', 'peer-registered'],
  async run({ table, peer, command }) {
    const found = await table()
    if (!found) return []
    const { nodes, addresses, isAboutPeer } = found
    if (nodes === 0)
      return [
        bad(
          'no node of the hash table answers',
          `name one that runs: --dht-node MULTIADDR; or on the registry: ${command('registry --dht')}`,
        ),
      ]
    const answer = `${nodes} ${nodes === 1 ? 'node answers' : 'nodes answer'}`
    if (!isAboutPeer) return [good(peer === undefined ? answer : `${answer}; whom to look for could not be told`)]
    if (addresses.length === 0) return [bad(`${answer}, and none of them knows the peer`, `on that machine: ${command('agent --dht')}`)]
    return [good(`${answer}, and its signed card is there: ${addresses.join(', ')}`)]
  },
}

export default peerInTable
