// Is there a secret that all of the group can know?
import { bad, good } from '../../base/checks/check.ts'
import type { ShareCheck } from '../examination.ts'
import { secretIn } from '../group-peers.ts'

/** GitHub's tokens of one job or installation begin so; each job has another one. */
const jobToken = /^ghs_/

const secret: ShareCheck = {
  title: 'looking for the secret of the group',
  async run({ env }) {
    const { name, secret: found } = secretIn(env)
    if (name === 'CACHE_P2P_SHARED_SECRET') return [good(`${name} is set`)]
    const remedy = 'set CACHE_P2P_SHARED_SECRET to the same text on the host and on all runners: openssl rand -hex 32'
    if (jobToken.test(found.reveal())) return [bad(`${name} is the secret, and it is the token of one job: no other job has it`, remedy)]
    return [good(`${name} is the secret: good only where host and runners have the very same token`)]
  },
}

export default secret
