// logs_get_recent_app_logs: what the machine server told its operator, from app.log and its closed files.
import { join } from 'node:path'
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { levels } from '../../kernel/log.ts'
import { appLogName } from '../logs/app-log.ts'
import { appLogParts, readOwn } from '../logs/own-logs.ts'
import { ownLogAnswer, ownLogAsked, timeOf } from '../logs/answers.ts'
import type { MachineNeeds } from '../needs.ts'

const input = z.strictObject({
  level: z.enum(levels).default('debug').describe('This urgent or more.'),
  contains: z.string().min(1).max(200).optional().describe('Only entries with this text in them; letter case does not matter.'),
  ...ownLogAsked,
})

export default tool({
  name: 'logs_get_recent_app_logs',
  title: 'Log of this server',
  description:
    'What this machine server told its operator: starts, calls, problems. The last entries that fit, or the first. For other programs use logs_query_journal.',
  input,
  output: ownLogAnswer,
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
