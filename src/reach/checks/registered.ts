// Does the registry know us, by a card that still holds?
import { bad, good } from '../../base/checks/check.ts'
import type { ReachCheck } from '../examination.ts'
import { isStale } from '../node/freshness.ts'
import { serverText } from '../registry/known-registries.ts'
import { ageText } from '../shown.ts'

const registered: ReachCheck = {
  title: 'looking for ourselves at the registry',
  needs: ['wallet', 'registry-key'],
  after: ['clock'],
  async run({ server, registry, wallet, command }) {
    const at = server()
    if (!at) return []
    const { peerId } = (await wallet()).identity
    const [card] = await (await registry()).lookup(peerId)
    if (!card) return [bad(`${serverText(at)} does not know ${peerId}`, command(`register --server ${serverText(at)}`))]
    const seen = `our card came ${ageText(card.ageMs)}`
    if (!isStale(card)) return [good(`${seen}, with ${card.addresses.length > 0 ? card.addresses.join(', ') : 'no address'}`)]
    return [
      bad(
        `${seen}: nobody renews it, so nobody listens at ${card.addresses.join(', ')}`,
        command('mcp-serve --authorized-peer ID --command "…"'),
      ),
    ]
  },
}

export default registered
