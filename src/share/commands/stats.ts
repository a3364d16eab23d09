// Tells what the cache was good for.
import { command } from '../../base/terminal/command.ts'
import { asFault } from '../../kernel/fault.ts'
import { shareCalls } from '../client.ts'
import type { Stats } from '../counts.ts'
import { placesIn } from '../places.ts'
import { storedStats } from '../stored.ts'

export default command({
  summary: 'show how many API calls were made, and how many were not needed',
  description: 'Of the proxy that runs, or of what the last one left. Everything is counted once, when it is served.',
  examples: [
    ['fairlead share stats', 'since the cache was begun'],
    ['fairlead share stats --json', 'the same for programs'],
  ],
  async run({ folders, clock, log, terminal }) {
    const places = placesIn(folders)
    const stats = await shareCalls(places)
      .stats({})
      .catch((error: unknown) => {
        if (asFault(error).code !== 'control.unreachable') throw error
        return storedStats({ clock, log }, places)
      })
    terminal.result(stats, () => shown(stats))
  },
})

function shown(stats: Stats): string {
  const percent = `${(stats.hit_rate * 100).toFixed(1)} %`
  const lines: readonly (readonly [string, string | number])[] = [
    ['answered without a call', `${stats.hits} (${percent})`],
    ['  told by another machine', stats.peer_hits],
    ['  waited for the same call', stats.joined],
    ['  stale, API not there', stats.stale_hits],
    ['needed a call', stats.misses],
    ['  API: still holds', stats.not_modified],
    ['API calls made', stats.api_calls_made],
    ['  passed through', stats.passed],
    ['API calls saved', stats.api_calls_saved],
    ['  held back (limit)', stats.held_back],
    ['Peer ID', stats.peer_id ?? 'none yet'],
    ['P2P enabled', stats.p2p_enabled ? 'yes' : 'no'],
    ['Connected peers', stats.connected_peers],
    ['kept', `${stats.cache_size} answer${stats.cache_size === 1 ? '' : 's'}, ${stats.cache_size_bytes} bytes`],
    ['expired, evicted, refused', `${stats.expirations}, ${stats.evictions}, ${stats.refused}`],
  ]
  return lines.map(([name, value]) => `${name.padEnd(27)} ${value}`).join('\n')
}
