// What stands in a request to the helper: the method is the name of the tool.
import { z } from 'zod'

/** Nothing in here but the grant is believed: all else is only written down. */
export const request = z.strictObject({
  arguments: z.record(z.string(), z.unknown()).default({}),
  /** A signed statement of who the caller is and which roles they have; see base/access/grant.ts. */
  grant: z.string().min(1).max(4_096).optional(),
  principal: z.strictObject({ name: z.string().min(1).max(256), via: z.string().min(1).max(64) }),
  /** The client's own id of its call, as JSON writes it. */
  request: z.string().min(1).max(600),
  source: z.string().min(1).max(256),
})

export type HelperRequest = z.output<typeof request>

/** Longer requests are refused unread: arguments of tools are small. */
export const maxRequestBytes = 256 << 10

/** `simulated`: why what is answered did not really happen. */
export type HelperAnswer = { readonly output: unknown; readonly simulated?: string }

/** Answered at once, whatever else is at work. */
export const pingMethod = 'ping'
