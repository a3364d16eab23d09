// Says for whom this machine is a witness, and how far it has seen their ledgers.
import { isPeerId } from '../../base/identity/identity.ts'
import { rememberedOf } from '../../base/ledger/witness.ts'
import { command } from '../../base/terminal/command.ts'
import { fault } from '../faults.ts'
import { homeFlags, homeOf } from '../home.ts'
import { witnessedPeers } from '../witness/peers.ts'

const actions = ['add', 'remove', 'list']

export default command({
  summary: 'be a witness for other peers: sign how far their records were seen, so that nobody can cut or alter them later',
  description:
    'A witness remembers how far it has seen each record of a peer, and signs only what has done nothing but grow since then. It never sees what the record says. Whatever listens here ("reach agent", "listen", "mcp-serve") serves those in the list, at once; the peer asks by "reach history --witness". What was seen is kept when a peer is removed.',
  args: {
    action: { summary: 'add, remove or list' },
    peer: { summary: 'the whole id of the peer', optional: true },
  },
  flags: {
    'follow-rotations': { summary: 'to add: when the peer is rotated, be the witness of its new key, and of that alone' },
    ...homeFlags,
  },
  examples: [
    ['fairlead reach witness add 12D3KooWExamplePeerIdOfTheOtherMachine', 'from now on this machine witnesses the records of that peer'],
    ['fairlead reach witness list', 'for whom, how far, and when'],
  ],
  async run({ terminal, folders }, { args: { action, peer }, flags }) {
    const home = homeOf({ folders }, flags)
    const peers = witnessedPeers(home)
    if (!actions.includes(action) || (action === 'list') !== (peer === undefined)) throw fault.witness_usage({ action })
    if (peer !== undefined) {
      if (!isPeerId(peer)) throw fault.peer_id_invalid({ text: peer, where: 'the command line' })
      const changed = action === 'add' ? peers.add({ peerId: peer, isFollowed: flags['follow-rotations'] }) : peers.remove(peer)
      const now = action === 'add' ? 'witnessed' : 'not witnessed'
      return terminal.result({ peer, action, changed }, () => (changed ? `${peer} is ${now} now` : `${peer} was ${now} before`))
    }
    const list = peers.list().map(({ peerId, isFollowed }) => ({
      peer: peerId,
      followsRotations: isFollowed,
      seen: rememberedOf(home.witness, peerId).map(seenValue),
    }))
    terminal.result({ peers: list }, () =>
      list.length === 0
        ? 'nobody: fairlead reach witness add ID'
        : list
            .flatMap(({ peer: id, followsRotations, seen }) => [
              followsRotations ? `${id}, and whatever key it is rotated to` : id,
              ...(seen.length === 0
                ? ['  nothing was seen yet']
                : seen.map(({ ledger, size, at }) => `  ${ledger}: ${size} entries, at ${at}`)),
            ])
            .join('\n'),
    )
  },
})

function seenValue({ ledger, chain, size, cosignatures }: ReturnType<typeof rememberedOf>[number]) {
  const at = new Date(Math.max(0, ...cosignatures.map((one) => one.at))).toISOString()
  return { ledger, chain, size, at }
}
