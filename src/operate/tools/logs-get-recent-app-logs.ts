// logs_get_recent_app_logs: what the machine server told its operator, from app.log and its closed files.
import { join } from 'node:path'
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { levels } from '../../kernel/log.ts'
import { time } from '../answers.ts'
import { appLogName } from '../logs/app-log.ts'
import { appLogParts, readOwn } from '../logs/own-logs.ts'
import type { MachineNeeds } from '../needs.ts'

const input = z.strictObject({
  level: z.enum(levels).default('debug').describe('This urgent or more.'),
  contains: z.string().min(1).max(200).optional().describe('Only entries with this text in them; letter case does not matter.'),
  since: z.iso.datetime({ offset: true }).optional().describe('Not before this time (ISO 8601).'),
  until: z.iso.datetime({ offset: true }).optional().describe('Not after this time.'),
  which: z.enum(['last', 'first']).default('last').describe('last: the newest that fit. first: the oldest that fit.'),
  limit: z.int().min(1).max(1_000).default(100).describe('How many entries at most.'),
  cursor: z
    .string()
    .max(200)
    .optional()
    .describe(
      'cursor of the answer before, with otherwise the same arguments: the next older ones for last, the next newer ones for first.',
    ),
})

const output = z.object({
  entries: z.array(z.looseObject({ time: time.optional(), event: z.string().optional() })).describe('In order of time, the oldest first.'),
  cursor: z.string().optional().describe('Absent when there are no more; it may be there when nothing was found so far.'),
  unread: z.array(z.string()).describe('Packed files, which are not looked into.'),
})

const timeOf = (iso: string | undefined): number | undefined => (iso === undefined ? undefined : Date.parse(iso))

export default tool({
  name: 'logs_get_recent_app_logs',
  title: 'Log of this server',
  description:
    'What this machine server told its operator: starts, calls, problems. The last entries that fit, or the first. For other programs use logs_query_journal.',
  input,
  output,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'observe',
  limits: { maxOutputBytes: 1 << 20 },
  handle: async ({ places }: MachineNeeds, { level, contains, since, until, ...asked }, { signal }) => {
    const text = contains?.toLowerCase()
    const wants = (entry: Readonly<Record<string, unknown>>): boolean =>
      levels.indexOf(entry['level'] as (typeof levels)[number]) >= levels.indexOf(level) &&
      (text === undefined || JSON.stringify(entry).toLowerCase().includes(text))
    const found = await readOwn(
      appLogParts(join(places.logs, appLogName)),
      { ...asked, wants, sinceMs: timeOf(since), untilMs: timeOf(until) },
      signal,
    )
    return { ...found, entries: [...found.entries], unread: [...found.unread] }
  },
})
