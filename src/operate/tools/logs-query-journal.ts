// logs_query_journal: what the journal of systemd holds, of a unit, a time, an urgency, a boot, a text.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { time } from '../answers.ts'
import { priorities, readJournal } from '../logs/journal.ts'
import type { MachineNeeds } from '../needs.ts'

const input = z.strictObject({
  unit: z.string().min(1).max(256).optional().describe('Only of this unit: nginx.service; without a suffix it is a service.'),
  since: z.iso.datetime({ offset: true }).optional().describe('Not before this time (ISO 8601).'),
  until: z.iso.datetime({ offset: true }).optional().describe('Not after this time.'),
  priority: z.enum(priorities).optional().describe('This urgent or more: err gives err, crit, alert and emerg.'),
  boot: z
    .string()
    .min(1)
    .max(40)
    .optional()
    .describe('Only of this boot: 0 is the present one, -1 the one before, or its id. All by default.'),
  pattern: z
    .string()
    .min(1)
    .max(500)
    .optional()
    .describe('Only messages in which this regular expression (PCRE) is found; in small letters, it finds capital ones too.'),
  which: z.enum(['last', 'first']).default('last').describe('last: the newest that fit. first: the oldest that fit.'),
  limit: z.int().min(1).max(1_000).default(100).describe('How many entries at most.'),
  cursor: z
    .string()
    .max(400)
    .optional()
    .describe(
      'cursor of the answer before, with otherwise the same arguments: the next older ones for last, the next newer ones for first.',
    ),
})

const output = z.object({
  entries: z
    .array(
      z.object({
        time,
        message: z.string().describe('Long ones are cut.'),
        priority: z.enum(priorities).optional(),
        unit: z.string().optional(),
        identifier: z.string().optional(),
        pid: z.int().optional(),
        boot: z.string().optional(),
      }),
    )
    .describe('In order of time, the oldest first, whichever were asked for.'),
  cursor: z.string().optional().describe('Absent when there are no more.'),
  incomplete: z.string().optional().describe('What journalctl says of what it could not show.'),
})

const seconds = (iso: string | undefined): number | undefined => (iso === undefined ? undefined : Date.parse(iso) / 1_000)

export default tool({
  name: 'logs_query_journal',
  title: 'Journal',
  description:
    'Entries of the system journal, filtered by unit, time, urgency, boot and regular expression: the last ones that fit, or the first. For the logs of this server itself use logs_get_recent_app_logs and logs_get_recent_audit_logs.',
  input,
  output,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'observe',
  limits: { maxOutputBytes: 1 << 20 },
  handle: async ({ host }: MachineNeeds, { since, until, ...asked }) => {
    const { entries, ...rest } = await readJournal(host, { ...asked, sinceSeconds: seconds(since), untilSeconds: seconds(until) })
    return { entries: [...entries], ...rest }
  },
})
