// Does the registry know the peer, and is it clear which one is meant?
import { asFault } from '../../kernel/fault.ts'
import { bad, good } from '../../base/checks/check.ts'
import type { ReachCheck } from '../examination.ts'
import { isStale } from '../node/freshness.ts'
import { serverText } from '../registry/known-registries.ts'
import { ageText } from '../shown.ts'

const peerRegistered: ReachCheck = {
  title: 'looking for the peer at the registry',
  needs: ['registry-key'],
  after: ['clock', 'registered'],
  async run({ server, peer, card, command }) {
    const at = server()
    if (!at || peer === undefined) return []
    try {
      const found = await card()
      const seen = `${found.name}, ${found.peerId}: its card came ${ageText(found.ageMs)}`
      if (!isStale(found)) return [good(seen)]
      return [bad(`${seen}, and nobody renews it`, `on that machine: ${command('mcp-serve --authorized-peer ID --command "…"')}`)]
    } catch (error) {
      const { code, message, hint, details } = asFault(error)
      if (code === 'reach.peer_not_found')
        return [bad(message, `on that machine: ${command(`register --server ${serverText(at)}`)}; then here: ${command('peers')}`)]
      const [first] = (details['candidates'] as readonly string[] | undefined) ?? []
      return [bad(message, first === undefined ? hint : command(`doctor ${first.split(' ')[0]}`))]
    }
  },
}

export default peerRegistered
