// logs_get_recent_audit_logs: who called what and how it ended, who was refused and who came in, from audit.log and its closed files.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { time } from '../answers.ts'
import { ledgerParts, readOwn } from '../logs/own-logs.ts'
import type { MachineNeeds } from '../needs.ts'

const input = z.strictObject({
  event: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe('Only events whose name begins so: tool_call, permission_denied, auth_failed, auth_login.'),
  tool: z.string().min(1).max(64).optional().describe('Only calls of this tool.'),
  principal: z.string().min(1).max(256).optional().describe('Only of this principal.'),
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
  name: 'logs_get_recent_audit_logs',
  title: 'Audit log',
  description:
    'Who called which tool and how it ended (tool_call.begin, tool_call.end), who was refused (permission_denied, auth_failed), who came in (auth_login). Whether the log is intact is checked by `fairlead operate audit verify`.',
  input,
  output,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'admin',
  effect: 'observe',
  limits: { maxOutputBytes: 1 << 20 },
  handle: async ({ places }: MachineNeeds, { event, tool: name, principal, since, until, ...asked }, { signal }) => {
    const wants = (entry: Readonly<Record<string, unknown>>): boolean =>
      (event === undefined || String(entry['event'] ?? '').startsWith(event)) &&
      (name === undefined || entry['tool'] === name) &&
      (principal === undefined || entry['principal'] === principal)
    const found = await readOwn(
      ledgerParts(places.logs, 'audit.log'),
      { ...asked, wants, sinceMs: timeOf(since), untilMs: timeOf(until) },
      signal,
    )
    return { ...found, entries: [...found.entries], unread: [...found.unread] }
  },
})
