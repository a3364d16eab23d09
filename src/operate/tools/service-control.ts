// service_control: starts, stops, restarts or reloads a unit, and tells how it was and how it is then.
import { z } from 'zod'
import { fault } from '../faults.ts'
import { privilegedTool } from '../helper/privileged.ts'
import { unitActions, unitName } from '../systemd.ts'
import { textOf } from '../unit-answers.ts'

const input = z.strictObject({
  unit: z.string().min(1).max(255).describe('The name of the unit; .service may be left out.'),
  action: z.enum(unitActions).describe('reload has a service read its configuration again, if it can.'),
})

export default privilegedTool({
  name: 'service_control',
  title: 'Start, stop, restart or reload a service',
  description:
    "Starts, stops, restarts or reloads a unit of systemd and waits until that is done. Only units that the machine's configuration names (helper.allow.units). " +
    'A service that fails to start is told by activeState failed: service_status says more, and its log.',
  input,
  output: z.object({
    unit: z.string(),
    action: z.enum(unitActions),
    activeStateBefore: z.string(),
    activeState: z.string(),
    subState: z.string(),
  }),
  annotations: { destructiveHint: true, idempotentHint: false, openWorldHint: false },
  role: 'operator',
  effect: 'change',
  limits: { timeoutMs: 120_000 },
  privileged: {
    subjects: ({ unit }) => [{ list: 'units', name: unitName(unit) }],
    async perform({ systemd, clock }, { unit: asked, action }, { signal }) {
      const unit = unitName(asked)
      const before = await systemd.properties(unit)
      if (textOf(before, 'LoadState') === 'not-found') throw fault.unknown_unit({ unit })
      await systemd.act(unit, action, { wait: (ms) => clock.wait(ms, signal), signal })
      const after = await systemd.properties(unit)
      return {
        unit,
        action,
        activeStateBefore: textOf(before, 'ActiveState'),
        activeState: textOf(after, 'ActiveState'),
        subState: textOf(after, 'SubState'),
      }
    },
  },
  simulate: ({ unit, action }) => ({
    unit: unitName(unit),
    action,
    activeStateBefore: 'unknown',
    activeState: action === 'stop' ? 'inactive' : 'active',
    subState: 'unknown',
  }),
})
