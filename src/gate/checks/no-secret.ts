// Is there a credential in anything that runs leave behind?
import { bad, good } from '../../base/checks/check.ts'
import type { GateCheck } from '../examination.ts'
import { artefactsIn, leaksIn } from '../holder/artefacts.ts'

const noSecret: GateCheck = {
  title: 'looking for credentials in artefacts',
  timeoutMs: 60_000,
  async run({ logs, tokens }, signal) {
    const files = artefactsIn(logs)
    const leaks = await leaksIn(files, tokens, signal)
    if (leaks.length === 0) return [good(`none in ${files.length} files below ${logs}`)]
    const remedy = 'take it for known to others: fairlead gate rotate; then remove it from there, and from every copy'
    return leaks.map((file) => bad('there is a credential in it', remedy, file))
  },
}

export default noSecret
