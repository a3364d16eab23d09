// Is what is kept of any use, or is it always too old?
import { bad, good } from '../../base/checks/check.ts'
import type { ShareCheck } from '../examination.ts'

/** Fewer say nothing. */
const least = 20

const hits: ShareCheck = {
  title: 'looking at what was counted',
  needs: ['running'],
  async run({ calls }) {
    const { hits: served, misses, expirations, peer_hits: fromPeers, refused } = await calls.stats({})
    const asked = served + misses
    if (asked < least) return []
    const seen = `${served} of ${asked} answered from what is kept, ${fromPeers} of them by another machine; ${refused} entries refused`
    if (expirations * 2 > asked)
      return [
        bad(
          `${expirations} of ${asked} came when the time of what is kept was over`,
          'CACHE_DEFAULT_TTL (seconds) makes it longer, where the API says nothing of it',
        ),
      ]
    return [good(seen)]
  },
}

export default hits
