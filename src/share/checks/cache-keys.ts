// Do the same requests have the same key here and on the host?
import { bad, good } from '../../base/checks/check.ts'
import { type ShareCheck, ofEachHost } from '../examination.ts'

const cacheKeys: ShareCheck = {
  title: 'comparing the keys of the cache',
  needs: ['bootstrap-peers', 'secret', 'running'],
  after: ['key-match', 'clock'],
  async run(examination) {
    const told = await examination.told()
    return ofEachHost(examination, async (way) => {
      const { scope } = await examination.greet(way)
      if (scope === told?.scope) return good('the same API and the same scope')
      return bad(
        'the host has another API or scope: no answer of one serves the other',
        'start host and runners with the same --shared-scope, --api and GH_HOST, or without',
      )
    })
  },
}

export default cacheKeys
