// system_cancel: takes back a reboot or a shutdown that is still to come.
import { z } from 'zod'
import { time } from '../answers.ts'
import { fault } from '../faults.ts'
import { privilegedTool } from '../helper/privileged.ts'

export default privilegedTool({
  name: 'system_cancel',
  title: 'Cancel a reboot or shutdown',
  description: 'Takes back a reboot or shutdown of this machine that was asked for and has not begun.',
  input: z.strictObject({}),
  output: z.object({ cancelled: z.enum(['reboot', 'shutdown']), wasDueAt: time, reason: z.string() }),
  annotations: { destructiveHint: false, idempotentHint: true, openWorldHint: false },
  role: 'admin',
  effect: 'change',
  privileged: {
    async perform({ power }) {
      const was = power.cancel()
      if (!was) throw fault.nothing_planned({})
      return { cancelled: was.action, wasDueAt: was.dueAt, reason: was.reason }
    },
  },
})
