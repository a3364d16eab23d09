// Does the gate answer, and tell how its connectors stand?
import { good } from '../../base/checks/check.ts'
import type { GateCheck } from '../examination.ts'

const gateway: GateCheck = {
  title: 'asking the gate',
  needs: ['config-valid'],
  async run({ live }) {
    const { connectors } = await live()
    return [good(`it answers, and tells of ${connectors.size} connectors`)]
  },
}

export default gateway
