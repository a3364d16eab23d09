// Have host and runner the same secret, and the same name of the group?
import { bad, good } from '../../base/checks/check.ts'
import { NoMember } from '../cluster/proof.ts'
import { type ShareCheck, ofEachHost } from '../examination.ts'

const keyMatch: ShareCheck = {
  title: 'proving that we are a member',
  needs: ['bootstrap-peers', 'secret'],
  after: ['host-answers'],
  timeoutMs: 15_000,
  run: (examination) =>
    ofEachHost(
      examination,
      async (way) => {
        try {
          const { tookMs } = await examination.greet(way)
          return good(`the host has the same secret and name; it answered within ${Math.ceil(tookMs)} ms`)
        } catch (error) {
          if (!(error instanceof NoMember)) throw error
          const name = examination.env['IPFS_ACCELERATE_GITHUB_REPO']
          const remedy = `set CACHE_P2P_SHARED_SECRET and IPFS_ACCELERATE_GITHUB_REPO to what they are on the host; here the name is ${name ? JSON.stringify(name) : 'not set'}`
          return bad(`the host refused us: ${error.message}, or the group another name`, remedy)
        }
      },
      'is it "fairlead share host" that runs there?',
    ),
}

export default keyMatch
