// Tells what the cache was good for.
import { command } from '../../base/terminal/command.ts'
import { asFault } from '../../kernel/fault.ts'
import { shareCalls } from '../client.ts'
import type { Stats, Sums } from '../counts.ts'
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
  const { group } = stats
  const lines: readonly (readonly [string, string | number])[] = [
    ...sumLines(stats),
    ['Peer ID', stats.peer_id ?? 'none yet'],
    ['P2P enabled', stats.p2p_enabled ? 'yes' : 'no'],
    ['Connected peers', stats.connected_peers],
    ['kept', `${stats.cache_size} answer${stats.cache_size === 1 ? '' : 's'}, ${stats.cache_size_bytes} bytes`],
    ['expired, evicted, refused', `${stats.expirations}, ${stats.evictions}, ${stats.refused}`],
    ...(group ? [['', ''] as const, ['THE GROUP', `${group.members} member${group.members === 1 ? '' : 's'} and this host`] as const] : []),
    ...(group ? sumLines(group) : []),
  ]
  return lines.map(([name, value]) => `${name.padEnd(27)} ${value}`.trimEnd()).join('\n')
}

function sumLines(sums: Sums): readonly (readonly [string, string | number])[] {
  return [
    ['answered without a call', `${sums.hits} (${(sums.hit_rate * 100).toFixed(1)} %)`],
    ['  told by another machine', sums.peer_hits],
    ['  waited for the same call', sums.joined],
    ['  stale, API not there', sums.stale_hits],
    ['needed a call', sums.misses],
    ['  API: still holds', sums.not_modified],
    ['API calls made', sums.api_calls_made],
    ['  passed through', sums.passed],
    ['API calls saved', sums.api_calls_saved],
    ['  held back (limit)', sums.held_back],
  ]
}
