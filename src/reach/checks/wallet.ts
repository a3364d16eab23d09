// Is there a wallet that opens, and that nobody else can get at?
import { good } from '../../base/checks/check.ts'
import type { ReachCheck } from '../examination.ts'

const wallet: ReachCheck = {
  title: 'looking at the wallet',
  async run({ wallet, home }) {
    const { name, identity } = await wallet()
    return [good(`${name}, ${identity.peerId}, in ${home.wallet}`)]
  },
}

export default wallet
