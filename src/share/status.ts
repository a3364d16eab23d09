// What a look at the whole machine tells of the cache.
import type { StatusLine, StatusSource } from '../base/checks/status.ts'
import { askNearby } from '../base/control/nearby.ts'
import { percentText, sizeText } from '../base/terminal/amount.ts'
import { shareApi } from './api.ts'
import type { Stats } from './counts.ts'
import { placesIn } from './places.ts'

const source: StatusSource = {
  title: 'Cache',
  async look(needs) {
    const folders = needs.homes.map((home) => placesIn(home.folders).control)
    const daemon = { name: 'cache', api: shareApi, folders, start: 'fairlead share proxy' }
    const answers = await askNearby(needs, daemon, (calls, signal) => calls.stats({}, { signal }))
    return { lines: answers.map(({ name, line, value }) => line ?? cacheLine(name, value as Stats)) }
  },
}

export default source

function cacheLine(name: string, stats: Stats): StatusLine {
  const parts = [
    `${stats.api_calls_saved} calls of the API saved, ${stats.api_calls_made} made (${percentText(stats.hit_rate * 100)} answered from it)`,
    `${stats.cache_size} answers, ${sizeText(stats.cache_size_bytes)}`,
    `${stats.connected_peers} connected`,
  ]
  return { name, standing: 'good', text: parts.join('; ') }
}
