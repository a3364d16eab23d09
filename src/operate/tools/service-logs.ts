// service_logs: what one unit wrote into the journal.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { time } from '../answers.ts'
import { fault } from '../faults.ts'
import { allowedBy } from '../helper/allowed.ts'
import { priorities, readJournal } from '../logs/journal.ts'
import type { MachineNeeds } from '../needs.ts'
import { unitName } from '../systemd.ts'

const input = z.strictObject({
  unit: z.string().min(1).max(255).describe('The name of the unit; .service may be left out.'),
  which: z.enum(['last', 'first']).default('last').describe('last: the newest lines. first: the oldest.'),
  limit: z.int().min(1).max(1_000).default(100).describe('How many lines at most.'),
  priority: z.enum(priorities).optional().describe('This urgent or more: err gives err, crit, alert and emerg.'),
  boot: z.string().min(1).max(40).optional().describe('Only of this boot: 0 is the present one, -1 the one before, or its id.'),
  cursor: z
    .string()
    .max(400)
    .optional()
    .describe(
      'cursor of the answer before, with otherwise the same arguments: it goes on with older ones for last, with newer ones for first.',
    ),
})

const output = z.object({
  unit: z.string(),
  lines: z
    .array(
      z.object({
        time,
        message: z.string().describe('Long ones are cut.'),
        priority: z.enum(priorities).optional(),
        pid: z.int().optional(),
      }),
    )
    .describe('In order of time, the oldest first, whichever were asked for.'),
  cursor: z.string().optional().describe('Absent when there are no more.'),
  incomplete: z.string().optional().describe('What journalctl says of what it could not show.'),
})

export default tool({
  name: 'service_logs',
  title: 'Log of a service',
  description:
    "What one unit of systemd wrote into the journal: the last lines, or the first. Only units that the machine's configuration lets be looked at (helper.allow.units); " +
    'logs_query_journal searches all of the journal.',
  input,
  output,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'observe',
  limits: { maxOutputBytes: 1 << 20 },
  async handle({ host, config }: MachineNeeds, { unit: asked, ...rest }) {
    const unit = unitName(asked)
    if (!allowedBy(config)('units', unit)) throw fault.not_listed({ tool: 'service_logs', list: 'units', name: unit })
    const { entries, ...found } = await readJournal(host, { ...rest, unit })
    const lines = entries.map(({ time: at, message, priority, pid }) => ({
      time: at,
      message,
      ...(priority === undefined ? {} : { priority }),
      ...(pid === undefined ? {} : { pid }),
    }))
    return { unit, lines, ...found }
  },
})
