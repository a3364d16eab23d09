// Is every receipt and bundle what it was when its hash was written down?
import { bad, good } from '../../base/checks/check.ts'
import type { GateCheck } from '../examination.ts'
import { verifyReceipts } from '../holder/receipts.ts'

const receipts: GateCheck = {
  title: 'verifying the receipts',
  timeoutMs: 60_000,
  async run({ logs }, signal) {
    const { checked, problems } = await verifyReceipts(logs, signal)
    if (problems.length === 0) return [good(`${checked} are as they were written`)]
    return problems.map(({ file, problem }) => bad(problem, 'keep it for the incident, and find out who changed it', file))
  },
}

export default receipts
