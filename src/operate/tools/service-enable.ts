// service_enable: has a unit started when the machine starts, or no longer.
import { z } from 'zod'
import { fault } from '../faults.ts'
import { privilegedTool } from '../helper/privileged.ts'
import { unitName } from '../systemd.ts'
import { textOf } from '../unit-answers.ts'

export default privilegedTool({
  name: 'service_enable',
  title: 'Start a service at boot, or not',
  description:
    "Has a unit of systemd started when the machine starts (enabled true), or no longer (false). It is not started or stopped now: that is service_control's. " +
    "Only units that the machine's configuration names (helper.allow.units).",
  input: z.strictObject({
    unit: z.string().min(1).max(255).describe('The name of the unit; .service may be left out.'),
    enabled: z.boolean(),
  }),
  output: z.object({ unit: z.string(), enabledBefore: z.string(), enabled: z.string() }),
  annotations: { destructiveHint: false, idempotentHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'change',
  limits: { timeoutMs: 60_000 },
  privileged: {
    subjects: ({ unit }) => [{ list: 'units', name: unitName(unit) }],
    async perform({ systemd }, { unit: asked, enabled }) {
      const unit = unitName(asked)
      const before = await systemd.properties(unit)
      if (textOf(before, 'LoadState') === 'not-found') throw fault.unknown_unit({ unit })
      await systemd.setEnabled(unit, enabled)
      const after = await systemd.properties(unit)
      return { unit, enabledBefore: textOf(before, 'UnitFileState'), enabled: textOf(after, 'UnitFileState') }
    },
  },
  simulate: ({ unit, enabled }) => ({ unit: unitName(unit), enabledBefore: 'unknown', enabled: enabled ? 'enabled' : 'disabled' }),
})
