// Says whose files are taken: puts a peer on the list, takes it off, or shows the list.
import { command } from '../../base/terminal/command.ts'
import { sizeText } from '../../base/terminal/amount.ts'
import { isPeerId } from '../../base/identity/identity.ts'
import { fault } from '../faults.ts'
import { fault as fileFault } from '../file/faults.ts'
import { fileSenders } from '../file/senders.ts'
import { homeFlags, homeOf } from '../home.ts'
import { tableText } from '../../base/terminal/table.ts'

export default command({
  summary: 'say whose files are taken',
  description:
    'Nobody’s are, unless named here: whoever may send files may fill the disk, one file of that size after the other. Counts at once, for a file that is coming in too. Without an id it shows the list.',
  args: { peer: { summary: 'a whole peer id, as "reach status" prints it there', optional: true } },
  flags: {
    'max-mib': { value: 'COUNT', type: 'integer', default: 4_096, summary: 'the largest file that is taken from it, in MiB' },
    remove: { summary: 'take no more files from it' },
    ...homeFlags,
  },
  examples: [
    ['fairlead reach accept-files 12D3KooWExamplePeerIdOfTheOtherMachine', 'files of up to 4 GiB from that peer'],
    ['fairlead reach accept-files 12D3KooWExamplePeerIdOfTheOtherMachine --remove', 'none any more'],
    ['fairlead reach accept-files', 'whose files are taken'],
  ],
  run({ terminal, folders }, { args: { peer }, flags }) {
    const senders = fileSenders(homeOf({ folders }, flags).fileSenders)
    if (peer !== undefined) {
      if (!isPeerId(peer)) throw fault.peer_id_invalid({ text: peer, where: 'accept-files' })
      if (flags['max-mib'] < 1) throw fileFault.max_size_invalid({ mib: flags['max-mib'] })
      if (!flags.remove) senders.put(peer, { maxBytes: flags['max-mib'] * 2 ** 20 })
      else if (!senders.remove(peer)) throw fileFault.not_a_sender({ peer })
    }
    const all = [...senders.all()].map(([peerId, { maxBytes }]) => ({ peerId, maxBytes }))
    terminal.result({ senders: all }, () =>
      all.length === 0
        ? 'no files are taken from anybody'
        : tableText([['FILES ARE TAKEN FROM', 'UP TO'], ...all.map(({ peerId, maxBytes }) => [peerId, sizeText(maxBytes)])]),
    )
    return Promise.resolve()
  },
})
