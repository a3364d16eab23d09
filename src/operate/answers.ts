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

/** Whether and how well the machine is sampled. */
export const sampling = z.object({
  isSampling: z.boolean(),
  intervalSeconds: z.int().optional(),
  lastSampleAt: time.optional(),
  samplesTaken: z.int().describe('Since the server started.'),
  samplesMissed: z.int().describe('Times at which none was taken: the machine was too busy, slept, or its clock was moved.'),
  database: z.string(),
  sizeBytes: bytes.optional(),
  setAside: z.string().optional().describe('Where a damaged database was moved when this one was begun.'),
  problem: z.string().optional().describe('Why the last sample could not be kept.'),
})
