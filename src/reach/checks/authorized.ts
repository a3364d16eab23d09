// Does the peer let us in? Asked by a greeting that is taken back at once.
import { asFault } from '../../kernel/fault.ts'
import { bad, good, unknown } from '../../base/checks/check.ts'
import { connectTunnel } from '../../base/peer/tunnel/client.ts'
import { tunnelProtocol } from '../../base/peer/tunnel/tunnel.ts'
import type { ReachCheck } from '../examination.ts'
import { inRunbookWords } from '../finding/find-peer.ts'

const authorized: ReachCheck = {
  title: 'asking the peer to let us in',
  needs: ['wallet', 'peer-answers'],
  async run({ clock, log, peer, target, host, command }) {
    if (peer === undefined) return []
    const found = await target()
    if (!found || found.addresses.length === 0) return [unknown('not asked: first peer-answers must be good')]
    const { peerId, addresses } = found
    const ours = await host()
    try {
      const open = (signal: AbortSignal) => ours.dial(peerId, addresses, tunnelProtocol, signal)
      const tunnel = await connectTunnel({ open, clock, log }, { helloMs: 6_000, closeWaitMs: 1_000 })
      await tunnel.close()
      return [good(`it lets ${ours.peerId} in`)]
    } catch (error) {
      const { code, message, hint } = inRunbookWords(asFault(error), peerId)
      const isDenied = code === 'reach.not_authorized'
      return [bad(message, isDenied ? `on that machine: ${command(`mcp-serve --authorized-peer ${ours.peerId} --command "…"`)}` : hint)]
    }
  },
}

export default authorized
