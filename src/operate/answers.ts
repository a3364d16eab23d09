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

/** A job that was begun, or how far one is. */
export const jobAnswer = z.object({
  jobId: z.string().describe('For manage_get_job, which tells how far it is.'),
  state: z.enum(['running', 'done', 'failed']),
  lines: z.array(z.string()).optional().describe('What it said last.'),
})

/** A job that has just begun. */
export const begun = (jobId: string): z.input<typeof jobAnswer> => ({ jobId, state: 'running' })

/** In place of a job that a sandbox keeps from being begun. */
export const simulatedJob = (): z.input<typeof jobAnswer> => ({ jobId: 'simulated', state: 'done', lines: [] })
