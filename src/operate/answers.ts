// Shapes that the answers of several machine tools share.
import { z } from 'zod'

/** The value, or why it cannot be known. The reason is tried first: an object whose members are all optional would swallow it. */
export function orUnavailable<T extends z.ZodType>(schema: T): z.ZodUnion<[typeof unavailable, T]> {
  return z.union([unavailable, schema])
}

const unavailable = z.object({ unavailable: z.string().describe('Why this cannot be known on this machine.') })

export const bytes = z.int().min(0)
export const percentage = z.number().min(0).max(100)
/** ISO 8601 in UTC. */
export const time = z.string()
