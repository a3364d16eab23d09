// Do this machine and the registry agree on the time?
import { durationText } from '../../base/terminal/amount.ts'
import { bad, good } from '../../base/checks/check.ts'
import type { ReachCheck } from '../examination.ts'

/** What the registry forgives when it looks at a card (`registry/book.ts`), and the runbook calls large. */
const maxSkewMs = 60_000

const clock: ReachCheck = {
  title: 'comparing clocks',
  needs: ['registry-key'],
  async run({ server, registry }) {
    if (!server()) return []
    const aheadMs = (await registry()).aheadMs() ?? 0
    if (Math.abs(aheadMs) <= maxSkewMs) return [good(`less than ${maxSkewMs / 1000} s from the registry’s`)]
    const evidence = `this clock is ${durationText(Math.round(Math.abs(aheadMs) / 1000))} ${aheadMs > 0 ? 'behind' : 'ahead of'} the registry’s`
    return [bad(evidence, 'sudo timedatectl set-ntp true (here, or there if this clock is right)')]
  },
}

export default clock
