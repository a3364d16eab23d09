// The settings of the gate: each with a description and a default.
import { z } from 'zod'
import { credential } from '../base/config/credential.ts'
import { duration } from '../base/config/duration.ts'
import { maxFrameBytes } from '../base/config/size.ts'
import { defaultChildren } from './children.ts'

export const isolations = ['session', 'principal', 'shared'] as const

/** True for `https://name:password@host`. */
function hasUserInfo(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { username, password } = new URL(text)
  return username !== '' || password !== ''
}

const noUserInfo = 'may not hold a user name or password: keep the token elsewhere and write token = { file = "PATH" }'

const digest = z.string().regex(/^sha256-[A-Za-z0-9+/]{43}=$/, 'must be sha256- and Base64: openssl dgst -sha256 -binary FILE | base64')

const upstream = z
  .strictObject({
    command: z.array(z.string()).min(1).optional().describe('A stdio server: its argv, run without a shell.'),
    cwd: z.string().optional().describe('The folder that the command runs in.'),
    env: z
      .record(z.string(), z.string())
      .default({})
      .describe('Variables for the command, besides PATH, HOME, USER and the like. No credentials: see secrets.'),
    secrets: z.record(z.string(), credential).default({}).describe('Variables for the command whose values are credentials.'),
    integrity: z
      .union([digest, z.record(z.string().min(1), digest)])
      .optional()
      .describe(
        'What the command must be whenever it is started: the SHA-256 of its executable, or a table of files (from cwd on) with the SHA-256 of each.',
      ),
    url: z
      .url({ protocol: /^https?$/ })
      .refine((text) => !hasUserInfo(text), noUserInfo)
      .optional()
      .describe('A Streamable HTTP server. No credentials: see token.'),
    sse: z
      .url({ protocol: /^https?$/ })
      .refine((text) => !hasUserInfo(text), noUserInfo)
      .optional()
      .describe('A server of the older HTTP+SSE transport: the address of its event stream. No credentials: see token.'),
    token: credential.optional().describe("Our own bearer token for url or sse. A client's token never travels on."),
    peer: z.string().min(1).optional().describe('A server that a peer serves (fairlead reach mcp-serve): its id. With fairlead up only.'),
    addresses: z.array(z.string()).default([]).describe('Where that peer listens, as multiaddrs; without any it is looked for by its id.'),
    socket: z.string().optional().describe('A server on a UNIX socket, one frame a line.'),
    isolation: z
      .enum(isolations)
      .default('session')
      .describe(
        'Who shares a child process: each session its own, all sessions of a principal one, or everybody one (only for servers that keep no state).',
      ),
    idle: duration({ leastMs: 1_000 })
      .prefault('5m')
      .describe('A child that nobody used for this long is stopped; the next call starts it again.'),
    request_timeout: duration({ leastMs: 100 }).prefault('10m').describe('A request without an answer for this long is given up.'),
  })
  .refine((value) => [value.command, value.url, value.sse, value.peer, value.socket].filter((way) => way !== undefined).length === 1, {
    error: 'needs exactly one of command, url, sse, peer and socket',
  })
  .refine((value) => value.integrity === undefined || value.command !== undefined, {
    error: 'integrity is for a command',
    path: ['integrity'],
  })
  .describe('An MCP server behind the gate.')

const principal = z
  .strictObject({
    token_sha256: z
      .union([z.string(), z.array(z.string())])
      .transform((value) => (typeof value === 'string' ? [value] : value))
      .pipe(z.array(z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits: printf %s TOKEN | sha256sum')))
      .default([])
      .describe('SHA-256 of each bearer token, in hex.'),
    peers: z
      .array(z.string())
      .default([])
      .describe(
        'Peer ids: who proves one of them is this principal. Who was rotated from one of them is, too, where the peer host follows rotations (reach.peer.follow_rotations).',
      ),
  })
  .describe('Somebody who may call, and what they prove it with.')

const patterns = (what: string): z.ZodDefault<z.ZodArray<z.ZodString>> =>
  z.array(z.string()).default([]).describe(`Which ${what}; * stands for any characters.`)

const rule = z
  .strictObject({
    principals: z.array(z.string()).min(1).describe('Whom it is for.'),
    upstreams: z.array(z.string()).min(1).describe('Which upstreams; * stands for any characters.'),
    tools: patterns('tools they may call'),
    resources: patterns('resources they may read, by URI'),
    prompts: patterns('prompts they may get'),
    methods: patterns('other methods they may send, such as tasks/* or those of an extension'),
  })
  .describe('What some principals may do. Without a rule nothing is allowed.')

export default z
  .strictObject({
    listen: z
      .string()
      .regex(/^(\[[0-9a-f:]+\]|[^:]+):\d{1,5}$/i, 'must be HOST:PORT')
      .default('127.0.0.1:8001')
      .describe('Where the gate listens for HTTP.'),
    hosts: z.array(z.string()).default([]).describe('Further names that clients may use in Host and Origin.'),
    state: z.string().optional().describe("The folder for ledger and sessions; the state folder's gate/ by default."),
    door: z.string().optional().describe('The principal that everyone is who comes in over loopback without a credential. Absent: nobody.'),
    local: z
      .string()
      .optional()
      .describe(
        "The principal that everyone is who comes in through the socket in the gate's own folder, which only its owner can reach (fairlead gate stdio). Absent: there is no such socket.",
      ),
    max_sessions: z.number().int().min(1).max(1_000_000).default(10_000).describe('Sessions kept at once, all principals together.'),
    max_sessions_per_principal: z
      .number()
      .int()
      .min(1)
      .max(1_000_000)
      .default(1_000)
      .describe('Sessions of one principal kept at once; above it, the one that nobody used for longest is forgotten.'),
    max_children: z
      .number()
      .int()
      .min(1)
      .max(100_000)
      .default(defaultChildren.max)
      .describe('Servers run at once as child processes or connections, all principals together; above it, the idlest is stopped.'),
    max_children_per_principal: z
      .number()
      .int()
      .min(1)
      .max(100_000)
      .default(defaultChildren.maxPerPrincipal)
      .describe('Servers run at once for one principal; above it, its idlest is stopped; when all are busy, the call is refused.'),
    session_ttl: duration({ leastMs: 60_000 }).prefault('24h').describe('A session that nobody used for this long is forgotten.'),
    drain: duration({ leastMs: 100 }).prefault('10s').describe('How long running calls may take to end when the gate is stopped.'),
    list_wait: duration({ leastMs: 100 })
      .prefault('5s')
      .describe('A list of all upstreams (/mcp) waits so long for each of them, and then says which are missing.'),
    max_frame_bytes: maxFrameBytes,
    upstreams: z
      .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and hyphens'), upstream)
      .default({})
      .describe('The MCP servers behind the gate, by name.'),
    principals: z.record(z.string().min(1).max(64), principal).default({}).describe('Who may call, by name.'),
    rules: z.array(rule).default([]).describe('Who may do what.'),
  })
  .describe('The MCP gateway.')
