// logs_get_recent_audit_logs: who called what and how it ended, who was refused and who came in, from audit.log and its closed files.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { ledgerParts, readOwn } from '../logs/own-logs.ts'
import { ownLogAnswer, ownLogAsked, timeOf } from '../logs/answers.ts'
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
  ...ownLogAsked,
})

export default tool({
  name: 'logs_get_recent_audit_logs',
  title: 'Audit log',
  description:
    'Who called which tool and how it ended (tool_call.begin, tool_call.end), who was refused (permission_denied, auth_failed), who came in (auth_login). Whether the log is intact is checked by `fairlead operate audit verify`.',
  input,
  output: ownLogAnswer,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'admin',
  effect: 'observe',
  limits: { maxOutputBytes: 1 << 20 },
  handle: async ({ places }: MachineNeeds, { event, tool: name, principal, since, until, ...asked }, { signal }) => {
    const wants = (entry: Readonly<Record<string, unknown>>): boolean =>
      (event === undefined || (typeof entry['event'] === 'string' && entry['event'].startsWith(event))) &&
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
