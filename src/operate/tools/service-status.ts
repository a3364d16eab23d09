// service_status: how one unit is, since when, and what it belongs to.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { bytes, orUnavailable, time } from '../answers.ts'
import { fault } from '../faults.ts'
import { allowedBy } from '../helper/allowed.ts'
import type { MachineNeeds } from '../needs.ts'
import { createSystemd, unitName } from '../systemd.ts'
import { namesOf, numberOf, sizeOf, textOf, timeOf } from '../unit-answers.ts'

const maxNames = 50

const output = z.object({
  unit: z.string(),
  description: z.string(),
  loadState: z.string(),
  activeState: z.string(),
  subState: z.string(),
  enabled: z.string().describe('enabled, disabled, static, masked, …; empty for a unit that has no file.'),
  result: z.string().describe('How the last run of a service ended: success, exit-code, signal, timeout, …; empty for other kinds.'),
  mainPid: z.int().describe('0 when nothing runs.'),
  exitStatus: z.int().describe('Of the last run of a service.'),
  restarts: z.int().describe('How often systemd started it again by itself.'),
  memoryBytes: orUnavailable(bytes),
  activeSince: orUnavailable(time),
  inactiveSince: orUnavailable(time),
  user: z.string().describe('Who a service runs as; empty is root.'),
  file: z.string(),
  needsReload: z.boolean().describe('The file has changed since systemd read it.'),
  requires: z.array(z.string()),
  wants: z.array(z.string()),
  after: z.array(z.string()),
})

export default tool({
  name: 'service_status',
  title: 'Status of a service',
  description:
    'How one unit of systemd is: state, since when, how the last run ended, its main process, memory, and what it depends on (at most 50 names of each). ' +
    "For its log use the logs tools. Only units that the machine's configuration lets be looked at (helper.allow.units).",
  input: z.strictObject({ unit: z.string().min(1).max(255).describe('The name of the unit; .service may be left out.') }),
  output,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'observe',
  async handle({ host, config }: MachineNeeds, input) {
    const unit = unitName(input.unit)
    if (!allowedBy(config)('units', unit)) throw fault.not_listed({ tool: 'service_status', list: 'units', name: unit })
    const found = await createSystemd(host).properties(unit, unit.endsWith('.service') ? 'Service' : undefined)
    if (textOf(found, 'LoadState') === 'not-found') throw fault.unknown_unit({ unit })
    return {
      unit: textOf(found, 'Id'),
      description: textOf(found, 'Description'),
      loadState: textOf(found, 'LoadState'),
      activeState: textOf(found, 'ActiveState'),
      subState: textOf(found, 'SubState'),
      enabled: textOf(found, 'UnitFileState'),
      result: textOf(found, 'Result'),
      mainPid: numberOf(found, 'MainPID'),
      exitStatus: numberOf(found, 'ExecMainStatus'),
      restarts: numberOf(found, 'NRestarts'),
      memoryBytes: sizeOf(found, 'MemoryCurrent'),
      activeSince: timeOf(found, 'ActiveEnterTimestamp'),
      inactiveSince: timeOf(found, 'InactiveEnterTimestamp'),
      user: textOf(found, 'User'),
      file: textOf(found, 'FragmentPath'),
      needsReload: found['NeedDaemonReload'] === true,
      requires: namesOf(found, 'Requires', maxNames),
      wants: namesOf(found, 'Wants', maxNames),
      after: namesOf(found, 'After', maxNames),
    }
  },
})
