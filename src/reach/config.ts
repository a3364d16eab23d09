// The settings of reach on a node (`[reach]` in fairlead.toml): each with a description and a default.
import { z } from 'zod'
import { credential } from '../base/config/credential.ts'
import { duration } from '../base/config/duration.ts'
import { maxFrameBytes } from '../base/config/size.ts'
import { isPeerId } from '../base/identity/identity.ts'

const port = (standard: number): z.ZodDefault<z.ZodInt> => z.int().min(0).max(65_535).default(standard)
const peerId = z.string().refine(isPeerId, { error: 'must be a whole peer id, as "fairlead reach status" prints it (12D3KooW…)' })
const announce = z
  .array(z.string().startsWith('/'))
  .default([])
  .describe('Multiaddrs under which others reach it, besides its own: /ip4/192.0.2.7/tcp/8766.')

const listen = z
  .array(z.string().startsWith('/'))
  .default([])
  .describe('Multiaddrs to listen at, besides host and port; for WebSockets: /ip4/0.0.0.0/tcp/8780/ws.')

const registry = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').describe('The IP address that the registry listens on.'),
  port: port(8_765).describe('The port that the registry listens on; 0 takes any free one.'),
  listen,
  announce,
  dht: z.boolean().default(false).describe('Whether it takes part in the distributed hash table of peers, so that others may begin there.'),
  relay: z.boolean().default(true).describe('Whether it relays between peers that cannot reach each other directly.'),
  max_places: z.int().min(1).max(4_096).default(1_024).describe('How many of the registered peers may keep a place at the relay.'),
  max_circuits: z.int().min(1).max(4_096).default(512).describe('How many connections it relays at once.'),
  max_records: z.int().min(1).max(60_000).default(10_000).describe('How many peers may be registered.'),
  mailbox_keep: duration({ leastMs: 60_000, mostMs: 7 * 86_400_000 })
    .prefault('7d')
    .describe('How long a sealed message waits for its recipient.'),
  mailbox_bytes: z
    .int()
    .min(0)
    .default(256 << 20)
    .describe('What all mailboxes together may hold; 0 for no mailboxes.'),
})

const peer = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').describe('The IP address that the peer host listens on.'),
  port: port(8_766).describe('The port that the peer host listens on; 0 takes any free one.'),
  listen,
  announce,
  server: z
    .string()
    .min(1)
    .optional()
    .describe('The registry to be known at, as HOST or HOST:PORT; the last one registered with when it is not named.'),
  lan: z.boolean().default(true).describe('Whether it answers who asks for this peer by its id on the local network.'),
  dht: z
    .boolean()
    .default(false)
    .describe('Whether it takes part in the distributed hash table of peers, beginning at the registry and at nodes met before.'),
  dht_nodes: z.array(z.string().startsWith('/')).max(16).default([]).describe('Multiaddrs of nodes at which it begins, too.'),
  authorized: z.array(peerId).default([]).describe('Peers that may connect. What they may call is decided by the gate.'),
  authorized_file: z
    .string()
    .min(1)
    .optional()
    .describe('A file with more of them, one a line, read again when it changes. "follow-rotations" behind an id says so for that one.'),
  follow_rotations: z
    .boolean()
    .default(false)
    .describe(
      'Whether an authorized peer that rotated its key is let in by the new one, and by that alone; at the gate it stays the principal it was.',
    ),
  passphrase: credential.optional().describe("What opens the node's wallet when a passphrase seals it."),
  witness: z
    .array(peerId)
    .max(8)
    .default([])
    .describe('Peers that witness the history and the gate\'s ledger, by themselves ("fairlead reach witness add" there).'),
  witness_every: duration({ leastMs: 60_000 }).prefault('1h').describe('How often they are asked, if something was added.'),
  witness_after: z.int().min(1).default(100).describe('And as soon as so many entries were added.'),
  max_frame_bytes: maxFrameBytes,
  keep: duration({ leastMs: 1_000 }).prefault('5m').describe('How long a session whose connection broke waits for its peer to come back.'),
})

const config = z.strictObject({
  registry: registry.prefault({}).describe('The registry, where peers are found.'),
  peer: peer.prefault({}).describe('The peer host, which lets authorized peers in.'),
})

const patterns = (what: string): z.ZodDefault<z.ZodArray<z.ZodString>> =>
  z.array(z.string()).default([]).describe(`Which ${what}; * stands for any characters.`)

const allowance = z
  .strictObject({
    tools: patterns('tools it may call'),
    resources: patterns('resources it may read, by URI'),
    prompts: patterns('prompts it may get'),
    methods: patterns('other methods it may send, such as tasks/* or those of an extension'),
  })
  .describe('What this peer may do. What is not named is refused.')

/** The file that `mcp-serve --policy` reads. */
export const policySchema = z.strictObject({
  peers: z
    .record(
      z.string().refine((id) => id === '*' || isPeerId(id), {
        error: 'must be a whole peer id (12D3KooW…), or "*" for every peer that may connect',
      }),
      allowance,
    )
    .refine((peers) => Object.keys(peers).length > 0, { error: 'names nobody' })
    .describe('By peer id. Who stands here may connect; "*" lets nobody in, and adds to what each may do.'),
})

export default config
export type ReachConfig = z.output<typeof config>
