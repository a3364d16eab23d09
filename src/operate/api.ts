// The machine server's own operations, as those who look after the machine use them: nothing is changed by them, and no role is asked for.
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

const asked = z.strictObject({
  /** Its name: `metrics_query`. */
  tool: z.string().min(1).max(64),
  arguments: z.record(z.string(), z.unknown()).default({}),
})
/** As the tool answers it. */
const answer = z.record(z.string(), z.unknown())

export const machineApi = {
  look: { privilege: 'observe', summary: 'what a tool for viewers tells that changes nothing', input: asked, output: answer },
  inspect: {
    privilege: 'change',
    tells: true,
    summary: 'what a tool for operators tells that changes nothing, such as the journal: it may name what is not for all',
    input: asked,
    output: answer,
  },
  summary: {
    privilege: 'observe',
    summary: 'how the server is, and how the machine is',
    input: z.strictObject({}),
    output: summary,
  },
} as const satisfies Api

export type MachineSummary = z.output<typeof summary>
