// What the tools for the server's own logs ask in the same way, and what they answer.
import { z } from 'zod'
import { time } from '../answers.ts'

/** Which entries, by time and a page at a time. */
export const ownLogAsked = {
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
}

export const ownLogAnswer = z.object({
  entries: z.array(z.looseObject({ time: time.optional(), event: z.string().optional() })).describe('In order of time, the oldest first.'),
  cursor: z.string().optional().describe('Absent when there are no more; it may be there when nothing was found so far.'),
  unread: z.array(z.string()).describe('Packed files, which are not looked into.'),
})

/** Milliseconds since 1970. */
export const timeOf = (iso: string | undefined): number | undefined => (iso === undefined ? undefined : Date.parse(iso))
