// Is the rotation ledger as it was written: every line, in its order, none altered, added or missing?
import { bad, good } from '../../base/checks/check.ts'
import { verifyLedger } from '../../base/ledger/verify.ts'
import { drillsFile, drillsOrigin } from '../connector/drills.ts'
import type { GateCheck } from '../examination.ts'

const ledgerChain: GateCheck = {
  title: 'verifying the rotation ledger',
  async run({ logs, drills }, signal) {
    const verdict = await verifyLedger(logs, { file: drillsFile, origin: drillsOrigin, signal })
    const remedy = `keep ${drillsFile} for the incident, find out who changed it, and put it back from a copy`
    if (!verdict.intact) {
      const { file, line, problem } = verdict.firstBad
      return [bad(`${file} line ${line}: ${problem}`, remedy)]
    }
    if (verdict.entries === 0) return [bad(`${drillsFile} has no line`, 'fairlead gate smoke')]
    const [gap] = verdict.gaps
    if (gap) return [bad(`lines ${gap.from} to ${gap.to} are missing`, remedy)]
    const [torn] = verdict.torn
    if (torn) return [bad(`${torn.file} ends in ${torn.sizeBytes} bytes that are no line`, remedy)]
    const [wrong] = (await drills()).bad
    if (wrong) return [bad(`${wrong.file} line ${wrong.line}: ${wrong.problem}`, remedy)]
    return [good(`${verdict.entries} lines, the last ${verdict.last!.seq} (${verdict.last!.hash})`)]
  },
}

export default ledgerChain
