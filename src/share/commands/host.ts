// Runs the host of a group: the cache that runners join, and a proxy of its own, until it is stopped.
import { command, stopAsked } from '../../base/terminal/command.ts'
import { defaultPort, groupSecret, served } from '../group-peers.ts'
import { placesIn } from '../places.ts'
import { listeningText, metText, peerText } from '../group-words.ts'
import type { Others } from '../others.ts'
import { openProxy } from '../proxy.ts'
import { cacheFlags, settingsOf } from '../settings.ts'

export default command({
  summary: 'run the cache that runners join',
  description:
    'Runners that know CACHE_P2P_SHARED_SECRET and the address printed here share what they are told by the API, and ask for the same thing once. The identity, and with it the address, stays over restarts. It is a proxy itself, at the UNIX socket of "fairlead share proxy".',
  flags: {
    ...cacheFlags,
    port: { value: 'N', type: 'integer', default: defaultPort, summary: 'the TCP port that runners come to, 0 for a free one' },
    listen: { value: 'ADDRESS', default: '0.0.0.0', summary: 'the address of this machine to listen at' },
  },
  examples: [
    ['fairlead share host', 'at port 9100: put the line that begins with /ip4/ into MCP_P2P_BOOTSTRAP_PEERS of the runners'],
    ['fairlead share host --listen 127.0.0.1 --port 0', 'for this machine alone'],
  ],
  async run(context, { flags }) {
    const { clock, log, terminal, folders } = context
    const places = placesIn(folders)
    const secret = groupSecret(context)
    let told = { port: flags.port, addresses: [] as readonly string[] }
    const others: Others = {
      is: 'host',
      onMember: (peer) => terminal.log(metText(peer)),
      async serve(accept) {
        const serving = await served(context, { identity: places.identity, listen: `${flags.listen}:${flags.port}` }, accept)
        told = { port: serving.port, addresses: serving.addresses() }
        return serving
      },
    }
    await using proxy = await openProxy({ clock, log }, places, { ...settingsOf(context, flags), secret }, others)
    const { peerId } = proxy
    terminal.result({ peerId, ...told, socket: places.socket }, () =>
      [`✓ ${listeningText(told.port)}`, peerText(peerId), ...told.addresses].join('\n'),
    )
    await stopAsked(context)
  },
})
