// What a running proxy tells of itself.
import { z } from 'zod'
import type { Api } from '../base/control/api.ts'
import { counts } from './counts.ts'

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
} as const satisfies Api
