// Runs the caching proxy, until it is stopped.
import { command, stopAsked } from '../../base/terminal/command.ts'
import { placesIn } from '../places.ts'
import { NoMember } from '../cluster/proof.ts'
import { bootstrapPeers, groupSecret, memberOf } from '../group-peers.ts'
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
    const others = bootstrap.length > 0 ? memberOf(context, bootstrap, places.identity) : undefined
    const secret = others ? { secret: groupSecret(context) } : {}
    const settings = { ...settingsOf(context, flags), port: flags.port, ...secret }
    if (others) terminal.note(`Connecting to ${bootstrap.length} bootstrap peer(s)...`)
    await using proxy = await openProxy({ clock, log }, places, settings, others)
    if (others) terminal.note(joinedText(await proxy.joined))
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

function joinedText(problem: Error | undefined): string {
  if (!problem) return '✓ Connected to bootstrap peer'
  return problem instanceof NoMember
    ? `The bootstrap peer refused us: ${problem.message}; is CACHE_P2P_SHARED_SECRET the same, and IPFS_ACCELERATE_GITHUB_REPO?`
    : `Timeout connecting to bootstrap peer (${problem.message}); does it run, and is its port open? Going on alone, and trying again`
}
