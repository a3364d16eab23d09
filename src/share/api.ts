// What a running proxy tells of itself.
import { z } from 'zod'
import type { Api } from '../base/control/api.ts'
import { counts } from './counts.ts'

const time = z.number().describe('ms since 1970')

export const shareApi = {
  stats: {
    privilege: 'observe',
    summary: 'What was counted, and what is kept',
    input: z.strictObject({}),
    output: z.record(
      z.enum([...counts, 'hits', 'hit_rate', 'api_calls_saved', 'cache_size', 'cache_size_bytes', 'connected_peers'] as const),
      z.number(),
    ),
  },
  'list-members': {
    privilege: 'observe',
    summary: 'who is connected now: the members of the group at its host, the host at a member',
    input: z.strictObject({}),
    output: z.strictObject({
      role: z.enum(['host', 'member', 'alone']),
      members: z.array(z.strictObject({ peer: z.string(), since: time })).readonly(),
    }),
  },
  'show-history': {
    privilege: 'observe',
    summary: 'what was counted, over the last day, the oldest first; the last one is what there is now',
    input: z.strictObject({}),
    output: z.strictObject({
      samples: z
        .array(z.strictObject({ at: time, hits: z.number(), misses: z.number(), api_calls_made: z.number(), api_calls_saved: z.number() }))
        .readonly(),
    }),
  },
} as const satisfies Api
