// system_reboot: restarts the machine, after the answer has left and a delay in which it can be cancelled.
import { z } from 'zod'
import { time } from '../answers.ts'
import { planPower } from '../helper/power-call.ts'
import { privilegedTool } from '../helper/privileged.ts'

export default privilegedTool({
  name: 'system_reboot',
  title: 'Restart the machine',
  description:
    'Restarts this machine in delaySeconds, and answers before that; until then system_cancel takes it back. Services are stopped in good order. ' +
    'Only where the configuration lets it (power.allow_reboot), and when the machine has been up for long enough.',
  input: z.strictObject({
    reason: z.string().min(1).max(200).describe('Why: it is recorded.'),
    delaySeconds: z.int().min(1).max(600).default(5),
  }),
  output: z.object({ dueAt: time }),
  annotations: { destructiveHint: true, idempotentHint: false, openWorldHint: false },
  role: 'admin',
  effect: 'change',
  privileged: {
    perform: (needs, { reason, delaySeconds }, call) =>
      planPower(needs, { tool: 'system_reboot', action: 'reboot', reason, delaySeconds }, call),
  },
  simulate: () => ({ dueAt: 'never' }),
})
