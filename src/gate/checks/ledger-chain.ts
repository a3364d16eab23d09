// Is the rotation ledger as it was written: every line, in its order, none altered, added or missing?
import { bad, good } from '../../base/checks/check.ts'
import { drillsFile } from '../connector/drills.ts'
import type { GateCheck } from '../examination.ts'
import { chainOf, chainRemedy } from '../holder/chain.ts'

const ledgerChain: GateCheck = {
  title: 'verifying the rotation ledger',
  async run({ logs }, signal) {
    const { problem, entries, last } = await chainOf(logs, signal)
    if (problem !== undefined) return [bad(problem, chainRemedy)]
    if (entries === 0) return [bad(`${drillsFile} has no line`, 'fairlead gate smoke')]
    return [good(`${entries} lines, the last ${last!.seq} (${last!.hash})`)]
  },
}

export default ledgerChain
