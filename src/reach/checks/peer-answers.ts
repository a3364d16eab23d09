// Does the peer answer at its addresses, and prove that it is the one we mean?
import { deadline } from '../../kernel/clock.ts'
import { type Fault, asFault } from '../../kernel/fault.ts'
import { type Answer, bad, good, unknown } from '../../base/checks/check.ts'
import { isRelayed } from '../../base/peer/address.ts'
import { tunnelProtocol } from '../../base/peer/tunnel/tunnel.ts'
import type { Examination, ReachCheck } from '../examination.ts'
import { inRunbookWords } from '../finding/find-peer.ts'

const patienceMs = 6_000

const peerAnswers: ReachCheck = {
  title: "trying the peer's addresses",
  after: ['wallet', 'peer-registered', 'peer-nearby', 'peer-in-table'],
  async run(examination, signal) {
    const { clock, peer, target, host, command } = examination
    if (peer === undefined) return []
    const found = await target()
    if (!found) return [unknown(`not asked: which peer ${peer} is could not be told`)]
    const serve = `on that machine: ${command(`mcp-serve --authorized-peer ${await ourId(examination)} --command "…"`)}`
    if (found.addresses.length === 0)
      return [found.from === 'network' ? unknown('not asked: no address is known') : bad('it is registered, but listens nowhere', serve)]
    const dialler = await host()
    const relayed = found.addresses.filter(isRelayed)
    const ways = [
      ...found.addresses.filter((address) => !isRelayed(address)).map((address) => [address]),
      ...(relayed.length > 0 ? [relayed] : []),
    ]
    const inTime = deadline(clock, patienceMs, signal)
    // all at once: over a connection that is open already the others would not be tried
    const misses = await Promise.all(
      ways.map(async (addresses): Promise<Fault | undefined> => {
        try {
          const stream = await dialler.dial(found.peerId, addresses, tunnelProtocol, inTime)
          stream.abort('connection')
          return undefined
        } catch (error) {
          return inRunbookWords(asFault(error), found.peerId)
        }
      }),
    )
    const isReached = misses.includes(undefined)
    return misses.flatMap((miss, at) => {
      const address = ways[at]![0]!
      if (miss && isRelayed(address) && ways.length > 1) return [] // whoever is not there has no place at a relay either: that is no second finding
      return [answerOf(miss, { address, isReached, serve, status: command('status') })]
    })
  },
}

type Seen = { readonly address: string; readonly isReached: boolean; readonly serve: string; readonly status: string }

/** Of several addresses one has to answer; somebody else at any of them is always worth knowing. */
function answerOf(miss: Fault | undefined, { address, isReached, serve, status }: Seen): Answer {
  if (!miss) return good(`it answers${isRelayed(address) ? ' through the relay' : ''}, and proves its id`, address)
  const { code, message, hint } = miss
  if (code === 'reach.handshake_failed') return bad(message, `on that machine: ${status} (is that its id, and this its address?)`, address)
  if (code !== 'reach.peer_not_found') return bad(message, hint, address)
  if (isReached) return good(`no answer from here, and another address is enough (${message})`, address)
  if (/ECONNREFUSED|mcp-serve/.test(message)) return bad(message, serve, address)
  return bad(
    message,
    isRelayed(address)
      ? serve
      : 'open its port to this machine: a firewall, or NAT without a forwarded port, is in between; then: mcp-serve --announce MULTIADDR; or let both use a registry that relays',
    address,
  )
}

async function ourId({ wallet }: Examination): Promise<string> {
  return wallet().then(
    ({ identity }) => identity.peerId,
    () => 'ID',
  )
}

export default peerAnswers
