// What a peer host tells of itself: who we are, where we are reached, who is on the list, and every session with how it goes.
import { z } from 'zod'
import type { Api } from '../base/control/api.ts'

const address = z.strictObject({ address: z.string(), way: z.enum(['direct', 'websocket', 'relayed']) })

const session = z.strictObject({
  peer: z.string(),
  /** ms since 1970. */
  since: z.number(),
  /** False: it was cut, and its peer may still come back. */
  isConnected: z.boolean(),
  /** Whether a relay is on the way now; the IP address is then the relay's. Both of the last way when there is none. */
  isRelayed: z.boolean(),
  ip: z.string(),
  /** How often its way was cut; each time but the last, or all if it is connected, it went on where it was. */
  cuts: z.number(),
  /** Frames, of them those that came again after a cut and were dropped; what waits for the other end, and for our reader. */
  sent: z.number(),
  received: z.number(),
  duplicates: z.number(),
  unackedFrames: z.number(),
  unackedBytes: z.number(),
  waitingBytes: z.number(),
})

const registered = z.strictObject({
  peerId: z.string(),
  name: z.string(),
  addresses: z.array(address).readonly(),
  /** In words: `direct (proved) or relayed`. */
  reachability: z.string(),
  ageMs: z.number(),
})

export const reachApi = {
  'show-peers': {
    privilege: 'observe',
    summary: 'who we are, where we are reached, who may come in, and the sessions there are',
    input: z.strictObject({}),
    output: z.strictObject({
      peerId: z.string(),
      /** `HOST:PORT`; null: none. */
      registry: z.string().nullable(),
      addresses: z.array(address).readonly(),
      authorized: z.array(z.string()).readonly(),
      sessions: z.array(session).readonly(),
    }),
  },
  'list-registered': {
    privilege: 'observe',
    summary: 'the peers at our registry, asked now',
    input: z.strictObject({}),
    output: z.array(registered).readonly(),
  },
} as const satisfies Api

export type PeersShown = z.output<(typeof reachApi)['show-peers']['output']>
export type RegisteredPeer = z.output<typeof registered>
