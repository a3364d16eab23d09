// The machine server's own operations, as those who look after the machine use them: no tool is called by them, and no role is asked for.
import { z } from 'zod'
import type { Api } from '../base/control/api.ts'

const summary = z.strictObject({
  version: z.string(),
  /** Of its MCP endpoint. */
  url: z.string(),
  uptimeSeconds: z.number(),
  sessions: z.number(),
  /** Whether calls are only acted out: `disabled` when all of them are real. */
  sandbox: z.string(),
  /** Of the server itself; what is optional does not count. */
  checks: z.array(z.strictObject({ name: z.string(), ok: z.boolean(), reason: z.string().optional(), optional: z.boolean() })).readonly(),
  /** As they are sampled, by the name of the series, now; those that cannot be known are left out. */
  values: z.record(z.string(), z.number()),
  uptimeOfMachineSeconds: z.number().nullable(),
  /** What is over its limit. */
  warnings: z.array(z.string()).readonly(),
})

export const machineApi = {
  summary: {
    privilege: 'observe',
    summary: 'how the server is, and how the machine is',
    input: z.strictObject({}),
    output: summary,
  },
} as const satisfies Api

export type MachineSummary = z.output<typeof summary>
