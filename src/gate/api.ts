// The gate's own operations, as `fairlead gate approve` and a dashboard use them: what waits for a person, and what that person says.
import { z } from 'zod'
import type { Api } from '../base/control/api.ts'

const call = z.strictObject({
  id: z.string(),
  principal: z.string(),
  upstream: z.string(),
  tool: z.string(),
  /** JSON as it came, cut when it is long. */
  arguments: z.string(),
  askedAt: z.string(),
  expiresInMs: z.number(),
  /** Whether the client has a session that the answer may hold for. */
  hasSession: z.boolean(),
})

const held = z.strictObject({
  upstream: z.string(),
  tool: z.string(),
  fingerprint: z.string(),
  reasons: z.array(z.string()),
  /** The definition that was accepted, if one was and it is not too long to be kept. */
  before: z.string().optional(),
  now: z.string(),
})

export const gateApi = {
  'list-calls': { privilege: 'change', summary: "calls that wait for a person's yes", input: z.strictObject({}), output: z.array(call) },
  'decide-call': {
    privilege: 'change',
    summary: 'say yes or no to one of them',
    input: z.strictObject({
      id: z.string(),
      /** `once`: this call alone. The others allow the same call again: in the same session, or for so long. */
      decision: z.union([z.enum(['once', 'session', 'deny']), z.strictObject({ forMs: z.number().int().positive() })]),
    }),
    output: call,
  },
  'list-tools': {
    privilege: 'observe',
    summary: 'tools in quarantine, with the reasons',
    input: z.strictObject({}),
    output: z.array(held),
  },
  'accept-tool': {
    privilege: 'change',
    summary: 'accept the definition with this fingerprint as the one of the tool',
    input: z.strictObject({ upstream: z.string(), tool: z.string(), fingerprint: z.string() }),
    output: z.strictObject({ upstream: z.string(), tool: z.string(), fingerprint: z.string() }),
  },
} as const satisfies Api

export type WaitingCall = z.output<typeof call>
export type HeldTool = z.output<typeof held>
