// What the dashboard sends besides calls of operations, and its bounds.
import { z } from 'zod'

/** The code of a link; without one the credential of the request is what counts. */
export const begin = z.strictObject({ code: z.string().min(1).max(128).optional() })

/** Of one stream. */
export const maxAsks = 16
/** How often an operation is asked, at most and by default. */
const leastEveryMs = 1_000
const usualEveryMs = 2_000

export const asks = z
  .array(
    z.strictObject({
      daemon: z.string().min(1).max(128),
      operation: z.string().min(1).max(64),
      input: z.record(z.string(), z.unknown()).default({}),
      everyMs: z.int().min(leastEveryMs).max(3_600_000).default(usualEveryMs),
    }),
  )
  .min(1)
  .max(maxAsks)
