// system_shutdown: turns the machine off, after the answer has left and a delay in which it can be cancelled. It wants to be confirmed: nobody can undo it from afar.
import { hostname } from 'node:os'
import { z } from 'zod'
import { time } from '../answers.ts'
import { fault } from '../faults.ts'
import { planPower } from '../helper/power-call.ts'
import { privilegedTool } from '../helper/privileged.ts'

export default privilegedTool({
  name: 'system_shutdown',
  title: 'Turn the machine off',
  description:
    'Turns this machine off in delaySeconds, and answers before that; until then system_cancel takes it back. It does not come back by itself: ' +
    'ask a person first, then give the host name of the machine as confirm. Only where the configuration lets it (power.allow_shutdown).',
  input: z.strictObject({
    reason: z.string().min(1).max(200).describe('Why: it is recorded.'),
    confirm: z.string().max(255).default('').describe('The host name of this machine, as system_get_basic_info tells it.'),
    delaySeconds: z.int().min(1).max(600).default(30),
  }),
  output: z.object({ dueAt: time }),
  annotations: { destructiveHint: true, idempotentHint: false, openWorldHint: false },
  role: 'admin',
  effect: 'change',
  privileged: {
    perform(needs, { reason, confirm, delaySeconds }, call) {
      if (confirm !== hostname()) throw fault.not_confirmed({ hostname: hostname() })
      return planPower(needs, { tool: 'system_shutdown', action: 'shutdown', reason, delaySeconds }, call)
    },
  },
  simulate: () => ({ dueAt: 'never' }),
})
