// The settings of the gate: each with a description and a default.
import { z } from 'zod'
import { credential } from '../base/config/credential.ts'
import { duration } from '../base/config/duration.ts'
import { sameName } from '../base/access/argument-rule.ts'
import { defaultChildren } from './children.ts'

const pattern = (what: string): z.ZodDefault<z.ZodArray<z.ZodString>> =>
  z.array(z.string()).default([]).describe(`Which ${what}; * stands for any characters.`)
const fingerprint = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits, as the record has them in tool.pinned (spec/pins.md)')

export const isolations = ['session', 'principal', 'shared'] as const

/** True for `https://name:password@host`. */
function hasUserInfo(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { username, password } = new URL(text)
  return username !== '' || password !== ''
}

const upstream = z
  .strictObject({
    command: z.array(z.string()).min(1).optional().describe('A stdio server: its argv, run without a shell.'),
    cwd: z.string().optional().describe('The folder that the command runs in.'),
    env: z
      .record(z.string(), z.string())
      .default({})
      .describe('Variables for the command, besides PATH, HOME, USER and the like. No credentials: see secrets.'),
    secrets: z.record(z.string(), credential).default({}).describe('Variables for the command whose values are credentials.'),
    url: z
      .url({ protocol: /^https?$/ })
      .refine(
        (text) => !hasUserInfo(text),
        'may not hold a user name or password: keep the token elsewhere and write token = { file = "PATH" }',
      )
      .optional()
      .describe('A Streamable HTTP server. No credentials: see token.'),
    token: credential.optional().describe("Our own bearer token for the url. A client's token never travels on."),
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
    approve: pattern("tools need a person's yes for each call"),
    new_tools: z
      .enum(['pin', 'quarantine', 'trust'])
      .default('pin')
      .describe(
        'A tool that the server did not have before: its definition is pinned at first sight, or it waits for fairlead gate approve. trust: no definition is pinned at all.',
      ),
    suspicious_tools: z
      .enum(['quarantine', 'report'])
      .default('quarantine')
      .describe('A tool whose definition holds hidden characters, or whose name looks like that of another: held back, or reported only.'),
    pins: z
      .record(z.string(), fingerprint)
      .default({})
      .describe('The fingerprint that a tool must have, by its name; nothing else is accepted (spec/pins.md).'),
  })
  .refine((value) => [value.command, value.url, value.socket].filter((way) => way !== undefined).length === 1, {
    error: 'needs exactly one of command, url and socket',
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
    roles: z.array(z.string()).default([]).describe('The roles that this principal holds.'),
    peers: z.array(z.string()).default([]).describe('Peer ids: who proves one of them is this principal.'),
  })
  .describe('Somebody who may call, and what they prove it with.')

const value = z.union([z.string(), z.number(), z.boolean()])
const values = z.union([value.transform((one) => [one]), z.array(value).min(1)])
const argument = z
  .union([
    values.transform((is) => ({ is })),
    z
      .strictObject({
        is: values.optional().describe('One of these; in a text, * stands for any characters.'),
        below: z
          .string()
          .regex(/^\//, 'must be an absolute path')
          .refine((path) => !path.split('/').some((part) => part === '.' || part === '..'), 'may not have . or .. in it')
          .optional()
          .describe('A path that is this folder or below it.'),
        min: z.number().optional().describe('A number, not below this.'),
        max: z.number().optional().describe('A number, not above this.'),
        optional: z.boolean().default(false).describe('It may be left out.'),
      })
      .refine(({ is, below, min, max }) => (is ?? below ?? min ?? max) !== undefined, 'needs one of is, below, min and max')
      .refine(({ min = -Infinity, max = Infinity }) => min <= max, 'min is above max'),
  ])
  .describe('What one argument must be: a value, a list of them, or a table with is, below, min, max, optional.')

const allowed = {
  upstreams: z.array(z.string()).min(1).describe('Which upstreams; * stands for any characters.'),
  tools: pattern('tools they may call'),
  arguments: z
    .record(z.string(), argument)
    .refine(
      (rules) => new Set(Object.keys(rules).map(sameName)).size === Object.keys(rules).length,
      'names two arguments that differ in letter case only',
    )
    .optional()
    .describe('What the arguments of a call must be for these tools to be allowed, by name. What is not named here may be anything.'),
  approve: pattern("tools need a person's yes for each call, whichever rule allows them"),
  resources: pattern('resources they may read, by URI'),
  prompts: pattern('prompts they may get'),
  methods: pattern('other methods they may send, such as tasks/* or those of an extension'),
}

const rule = z
  .strictObject({ principals: z.array(z.string()).min(1).describe('Whom it is for.'), ...allowed })
  .describe('What some principals may do. Without a rule nothing is allowed.')

const role = z
  .strictObject({ rules: z.array(z.strictObject(allowed).describe('As in gate.rules, for whoever holds the role.')).default([]) })
  .describe('A named set of rules.')

const limit = z
  .strictObject({
    principals: z.array(z.string()).min(1).default(['*']).describe('Whose calls; * stands for any characters.'),
    upstreams: z.array(z.string()).min(1).default(['*']).describe('Calls of which upstreams; * stands for any characters.'),
    tools: z.array(z.string()).min(1).default(['*']).describe('Calls of which tools; * stands for any characters.'),
    per: z
      .enum(['tool', 'principal'])
      .default('tool')
      .describe('What is counted together, for each principal by itself: the calls of one tool, or of all these tools.'),
    calls_per_minute: z.number().positive().optional().describe('How many calls a minute.'),
    burst: z.number().int().min(1).optional().describe('How many of them at once after a pause; calls_per_minute when absent.'),
    bytes_per_minute: z.number().positive().optional().describe('How many bytes a minute, calls and results together.'),
    concurrent: z.number().int().min(1).optional().describe('How many calls at the same time.'),
  })
  .refine((one) => (one.calls_per_minute ?? one.bytes_per_minute ?? one.concurrent) !== undefined, {
    error: 'needs one of calls_per_minute, bytes_per_minute and concurrent',
  })
  .describe('How often some tools may be called. All limits that cover a call hold.')

export default z
  .strictObject({
    listen: z
      .string()
      .regex(/^(\[[0-9a-f:]+\]|[^:]+):\d{1,5}$/i, 'must be HOST:PORT')
      .default('127.0.0.1:8001')
      .describe('Where the gate listens for HTTP.'),
    hosts: z.array(z.string()).default([]).describe('Further names that clients may use in Host and Origin.'),
    state: z.string().optional().describe("The folder for ledger and sessions; the state folder's gate/ by default."),
    runtime: z.string().optional().describe("The folder for the sockets of the gate's own API; the runtime folder's gate/ by default."),
    door: z.string().optional().describe('The principal that everyone is who comes in over loopback without a credential. Absent: nobody.'),
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
    max_frame_bytes: z
      .number()
      .int()
      .min(4_096)
      .max(64 << 20)
      .default(8 << 20)
      .describe('The largest message, in bytes.'),
    upstreams: z
      .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and hyphens'), upstream)
      .default({})
      .describe('The MCP servers behind the gate, by name.'),
    principals: z
      .record(z.string().regex(/^[^*]{1,64}$/, 'must be 1 to 64 characters without *'), principal)
      .default({})
      .describe('Who may call, by name.'),
    roles: z.record(z.string().min(1).max(64), role).default({}).describe('Named sets of rules, for principals to hold.'),
    rules: z.array(rule).default([]).describe('Who may do what.'),
    limits: z.array(limit).default([]).describe('How often and how much may be called.'),
    approval_timeout: duration({ leastMs: 1_000, mostMs: 86_400_000 })
      .prefault('2m')
      .describe("How long a call waits for a person's yes before it is refused."),
    approval_by: z
      .enum(['client', 'machine'])
      .default('client')
      .describe(
        "Who may give it: the client's user where the client can ask, and whoever uses fairlead gate approve on this machine; or only the latter.",
      ),
  })
  .describe('The MCP gateway.')
