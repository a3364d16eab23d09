// Do this machine and the host agree on the time? What is dated into the future is refused.
import { bad, good } from '../../base/checks/check.ts'
import { durationText } from '../../base/terminal/amount.ts'
import { type ShareCheck, ofEachHost } from '../examination.ts'

/** Half of what `entry/entry.ts` forgives. */
const maxSkewMs = 30_000

const clock: ShareCheck = {
  title: 'comparing clocks',
  needs: ['bootstrap-peers', 'secret'],
  after: ['key-match'],
  run: (examination) =>
    ofEachHost(examination, async (way) => {
      const { aheadMs } = await examination.greet(way)
      if (Math.abs(aheadMs) <= maxSkewMs) return good(`less than ${maxSkewMs / 1_000} s from the host’s`)
      const evidence = `this clock is ${durationText(Math.round(Math.abs(aheadMs) / 1_000))} ${aheadMs > 0 ? 'ahead of' : 'behind'} the host’s`
      return bad(evidence, 'sudo timedatectl set-ntp true (here, or there if this clock is right)')
    }),
}

export default clock
