// Runs the caching proxy, until it is stopped.
import { type Context, command, stopAsked } from '../../base/terminal/command.ts'
import type { Way } from '../cluster/cluster.ts'
import { placesIn } from '../places.ts'
import { bootstrapPeers, groupSecret, isGroupMeant, memberOf } from '../group-peers.ts'
import { beginningText, configuredText, connectingText, listeningText, noPeersText, noteJoined } from '../group-words.ts'
import type { Others } from '../others.ts'
import { openProxy } from '../proxy.ts'
import { cacheFlags, settingsOf } from '../settings.ts'

export default command({
  summary: 'run a proxy that makes the same API call once',
  description:
    'Clients talk to it as they would to the API, with their own credentials. An answer is kept for those who may read it: for the same credential, or with --shared-scope for all who have one. Writes pass through, and what they may have changed is forgotten. What is kept is sealed, with CACHE_P2P_SHARED_SECRET if that is set, else with a key of this machine.',
  flags: {
    ...cacheFlags,
    port: {
      value: 'N',
      type: 'integer',
      summary: 'listen on this port of 127.0.0.1 as well, 0 for a free one; whoever is on this machine can then use the proxy',
    },
    'p2p-port': {
      value: 'N',
      type: 'integer',
      summary: 'a TCP port at which other runners of the group may come to this one while the host is gone, 0 for a free one',
    },
  },
  examples: [
    ['fairlead share proxy', 'for gh, at a UNIX socket: gh config set http_unix_socket PATH'],
    ['fairlead share proxy --port 9110', 'for other programs, too: http://127.0.0.1:9110 in place of https://api.github.com'],
    ['fairlead share proxy --shared-scope ci --stale-for 600', 'job tokens that differ share answers, also while the API is down'],
  ],
  async run(context, { flags }) {
    const { clock, log, terminal, folders } = context
    const places = placesIn(folders)
    const bootstrap = bootstrapPeers(context.env)
    const others = bootstrap.length > 0 ? beginGroup(context, bootstrap, flags['p2p-port']) : undefined
    const secret = others ? { secret: groupSecret(context) } : {}
    if (!others && (isGroupMeant(context.env) || flags['p2p-port'] !== undefined)) terminal.note(noPeersText)
    const settings = { ...settingsOf(context, flags), port: flags.port, ...secret }
    await using proxy = await openProxy({ clock, log }, places, settings, others)
    if (others) {
      terminal.note(connectingText(bootstrap.length))
      const joined = await Promise.race([proxy.joined.then((problem) => ({ problem })), stopAsked(context)])
      if (joined) noteJoined(terminal, joined.problem)
    }
    terminal.result({ socket: places.socket, ...(proxy.url ? { url: proxy.url } : {}), api: settings.api.url.origin }, () =>
      [
        `the cache in front of ${settings.api.url.origin} is ready`,
        `  gh config set http_unix_socket ${places.socket}`,
        ...(proxy.url ? [`  ${proxy.url}`] : []),
      ].join('\n'),
    )
    await stopAsked(context)
  },
})

function beginGroup(context: Context, bootstrap: readonly Way[], port: number | undefined): Others {
  const { terminal, folders } = context
  terminal.note(beginningText)
  terminal.note(configuredText(bootstrap.map(({ address }) => address)))
  const { identity } = placesIn(folders)
  return memberOf(context, { bootstrap, identity, port }, (listening) => terminal.note(listeningText(listening)))
}
