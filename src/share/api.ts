// What a running proxy tells of itself.
import { z } from 'zod'
import type { Api } from '../base/control/api.ts'
import { counts } from './counts.ts'

const names = [...counts, 'hits', 'hit_rate', 'api_calls_saved', 'cache_size', 'cache_size_bytes', 'connected_peers'] as const
const numbers = Object.fromEntries(names.map((name) => [name, z.number()])) as Record<(typeof names)[number], z.ZodNumber>

export const shareApi = {
  stats: {
    privilege: 'observe',
    summary: 'What was counted, and what is kept',
    input: z.strictObject({}),
    output: z.object({ ...numbers, p2p_enabled: z.boolean(), peer_id: z.string().nullable() }),
  },
  group: {
    privilege: 'observe',
    summary: 'How it meets the others of its group',
    input: z.strictObject({}),
    output: z.object({
      role: z.enum(['host', 'member', 'alone']),
      peer_id: z.string(),
      /** Where others come to it; none: they do not. */
      addresses: z.array(z.string()),
      /** Peer ids of those that are connected, or of the host. */
      connected: z.array(z.string()),
    }),
  },
} as const satisfies Api

export type Told = z.infer<typeof shareApi.group.output>
