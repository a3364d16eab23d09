// The settings of the gate: each with a description and a default.
import { z } from 'zod'
import { jwtAlgorithms } from '../base/access/jwt-algorithms.ts'
import { maxRoles } from '../base/access/grant.ts'
import { credential } from '../base/config/credential.ts'
import { duration } from '../base/config/duration.ts'
import { maxFrameBytes } from '../base/config/size.ts'
import { socketKinds } from '../base/control/api.ts'
import { hasUserInfo, isSafeUrl, safeUrlWords } from '../base/http/safe-url.ts'
import { defaultChildren } from './children.ts'
import { limit, patterns, role, rule } from './rule/config.ts'

const fingerprint = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits, as the record has them in tool.pinned (spec/pins.md)')

export const isolations = ['session', 'principal', 'shared'] as const

/** An address whose answers nobody on the way can change. */
const safeUrl = z
  .url({ protocol: /^https?$/ })
  .refine((text) => !hasUserInfo(text), 'may not hold a user name or password')
  .refine(isSafeUrl, safeUrlWords)

const originWords = 'must be an address alone, in lower case: no path, no slash at the end'
const origin = (text: string): boolean => !URL.canParse(text) || new URL(text).origin === text
const noUserInfo = 'may not hold a user name or password: keep the token elsewhere and write token = { file = "PATH" }'

const digest = z.string().regex(/^sha256-[A-Za-z0-9+/]{43}=$/, 'must be sha256- and Base64: openssl dgst -sha256 -binary FILE | base64')

const grants = z
  .strictObject({
    audience: z
      .string()
      .min(1)
      .max(128)
      .default('raspi-ops-agent')
      .describe('For whom they are: what the daemon that acts by them has as its own name (helper.grants.audience).'),
    roles: z
      .record(z.string().regex(/^[a-z][a-z0-9-]{0,63}$/, 'must be lower-case letters, digits and hyphens'), z.array(z.string()).min(1))
      .refine((all) => Object.keys(all).length > 0 && Object.keys(all).length <= maxRoles, `must name 1 to ${maxRoles} roles`)
      .describe('Which principals hold a role of that daemon, by role; * stands for any characters. Whom none names holds none.'),
  })
  .describe('It is told with each call, signed by the gate and good for a minute, who calls and which roles they hold.')

/** How a server is served, whoever names it. */
const serving = {
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
  grants: grants.optional(),
  approve: patterns("tools need a person's yes for each call"),
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
}

const readable =
  'would be readable on the way, and told to whoever the name leads to: url and sse must be https then, or http to this machine (127.0.0.1)'
const isUnread = ({ url, sse }: { readonly url?: string | undefined; readonly sse?: string | undefined }): boolean =>
  [url, sse].every((address) => address === undefined || isSafeUrl(address))

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
    ...serving,
    pins: z
      .record(z.string(), fingerprint)
      .default({})
      .describe('The fingerprint that a tool must have, by its name; nothing else is accepted (spec/pins.md).'),
  })
  .refine((value) => [value.command, value.url, value.sse, value.peer, value.socket].filter((way) => way !== undefined).length === 1, {
    error: 'needs exactly one of command, url, sse, peer and socket',
  })
  .refine((value) => value.token === undefined || isUnread(value), { error: readable, path: ['token'] })
  .refine((value) => value.grants === undefined || isUnread(value), { error: readable, path: ['grants'] })
  .refine((value) => value.integrity === undefined || value.command !== undefined, {
    error: 'integrity is for a command',
    path: ['integrity'],
  })
  .describe('An MCP server behind the gate.')

const offers = z
  .strictObject({
    control: z
      .string()
      .min(1)
      .describe(
        "The folder with the daemon's sockets (observe.sock), below the folder of this file if it is relative: what it offers are upstreams.",
      ),
    token: credential.optional().describe("Our own bearer token for its servers over HTTP. A client's token never travels on."),
    keep: duration({ leastMs: 0 })
      .prefault('1m')
      .describe('How long its servers stay upstreams, marked as failing, while the daemon itself does not answer.'),
    ...serving,
  })
  .describe('A daemon of this machine whose servers are upstreams for as long as it offers them.')

const principal = z
  .strictObject({
    token_sha256: z
      .union([z.string(), z.array(z.string())])
      .transform((value) => (typeof value === 'string' ? [value] : value))
      .pipe(z.array(z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits: printf %s TOKEN | sha256sum')))
      .default([])
      .describe('SHA-256 of each bearer token, in hex.'),
    roles: z.array(z.string()).default([]).describe('The roles that this principal holds.'),
    peers: z
      .array(z.string())
      .default([])
      .describe(
        'Peer ids: who proves one of them is this principal. Who was rotated from one of them is, too, where the peer host follows rotations (reach.peer.follow_rotations).',
      ),
    metrics: z.boolean().default(false).describe('Whether they may read /metrics, which names principals, upstreams and tools.'),
    dashboard: z
      .enum(socketKinds)
      .optional()
      .describe('Whether they may use the dashboard: to look only (observe), or also to act (change). Absent: not at all.'),
  })
  .describe('Somebody who may call, and what they prove it with.')

const people = (what: string) => z.record(z.string().min(1).max(320), z.string().min(1).max(64)).describe(what)

const issuer = z
  .strictObject({
    issuer: safeUrl.describe('Its name in tokens (iss), letter for letter: the address of an OAuth or OpenID provider.'),
    audience: z
      .string()
      .min(1)
      .optional()
      .describe(
        'What tokens must be for (aud). Absent: the address of the upstream that is called, or of the whole gate, as MCP clients ask for it (RFC 8707).',
      ),
    jwks_url: safeUrl.optional().describe('Where its public keys are (JWKS).'),
    jwks_file: z.string().optional().describe('A file with its public keys, in place of jwks_url.'),
    algorithms: z
      .array(z.enum(jwtAlgorithms))
      .min(1)
      .default(['RS256'])
      .describe('How it may sign; nothing else is taken, whatever a token says.'),
    principal_claim: z
      .enum(['sub', 'email'])
      .default('sub')
      .describe('The claim that tells who it is; an email counts only if the issuer says that it has verified it (email_verified).'),
    principals: people(
      'Who is which principal: { "alice@example.com" = "alice" }. The values of the claim stand there letter for letter.',
    ).refine((all) => Object.keys(all).length > 0, 'must name somebody'),
  })
  .refine((value) => (value.jwks_url === undefined) !== (value.jwks_file === undefined), {
    error: 'needs exactly one of jwks_url and jwks_file',
  })
  .describe('An issuer of signed bearer tokens (JWT).')

const cloudflareAccess = z
  .strictObject({
    team: safeUrl.refine(origin, originWords).describe('https://TEAM.cloudflareaccess.com'),
    audience: z.string().min(1).describe('The AUD tag of the application.'),
    principals: people('Who is which principal, by email.').default({}),
    service_tokens: people('Which service token is which principal, by its client id (common name).').default({}),
  })
  .refine((value) => Object.keys(value.principals).length + Object.keys(value.service_tokens).length > 0, {
    error: 'needs principals or service_tokens',
  })
  .describe('Takes the assertions of Cloudflare Access (Cf-Access-Jwt-Assertion). Absent: that header is ignored.')

const socket = z
  .strictObject({
    path: z
      .string()
      .min(1)
      .describe('The socket, below the folder of this file if it is relative. Its folder may be writable for its owner only.'),
    principal: z.string().min(1).describe('Who everyone is that connects to it.'),
    mode: z
      .string()
      .regex(/^0?6[06][06]$/, 'must be 600, 660 or 666')
      .default('600')
      .transform((text) => Number.parseInt(text, 8))
      .describe('Who may connect: its owner (600), the group of the file too (660), or whoever reaches the folder (666).'),
  })
  .describe('A UNIX socket with the same paths as over HTTP; coming in by it proves who one is.')

const connector = z
  .strictObject({
    rotation_window: duration({ leastMs: 1_000 })
      .prefault('48h')
      .describe('How long its credential is fresh after it was last rotated; then it is refused.'),
    chakra: z.string().min(1).max(64).optional().describe("What its heartbeats say; the connector's own word by default."),
  })
  .describe('A service with a credential that the gate makes and rotates: fairlead gate rotate.')

export default z
  .strictObject({
    listen: z
      .string()
      .regex(/^(\[[0-9a-f:]+\]|[^:]+):\d{1,5}$/i, 'must be HOST:PORT')
      .default('127.0.0.1:8001')
      .describe('Where the gate listens for HTTP.'),
    hosts: z.array(z.string()).default([]).describe('Further names that clients may use in Host and Origin.'),
    public_url: safeUrl
      .refine(origin, originWords)
      .optional()
      .describe('Where clients reach the gate from outside: https://mcp.example.com. Tokens of issuers are for this address.'),
    state: z.string().optional().describe("The folder for ledger and sessions; the state folder's gate/ by default."),
    runtime: z.string().optional().describe("The folder for the sockets of the gate's own API; the runtime folder's gate/ by default."),
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
    trace: z
      .enum(['carry', 'begin'])
      .default('carry')
      .describe('Which requests are traced (W3C Trace Context): those that come with a trace, or all, which adds a member to their _meta.'),
    list_wait: duration({ leastMs: 100 })
      .prefault('5s')
      .describe('A list of all upstreams (/mcp) waits so long for each of them, and then says which are missing.'),
    max_frame_bytes: maxFrameBytes,
    upstreams: z
      .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and hyphens'), upstream)
      .default({})
      .describe('The MCP servers behind the gate, by name.'),
    offers: z
      .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and hyphens'), offers)
      .default({})
      .describe('Daemons of this machine whose servers are upstreams, too, each under its id; by a name of your own.'),
    principals: z
      .record(z.string().regex(/^[^*]{1,64}$/, 'must be 1 to 64 characters without *'), principal)
      .default({})
      .describe('Who may call, by name.'),
    issuers: z
      .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and hyphens'), issuer)
      .default({})
      .describe('Whose signed tokens are taken, by a name of your own.'),
    scopes: z
      .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/, 'must be a scope (RFC 6749 §3.3)'))
      .max(32)
      .default([])
      .describe('Scopes that every token of an issuer must have.'),
    cloudflare_access: cloudflareAccess.optional(),
    sockets: z
      .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and hyphens'), socket)
      .default({})
      .describe('UNIX sockets to come in by, by a name of your own.'),
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
    connectors: z
      .record(z.string(), connector)
      .default({})
      .describe('Settings of connectors, by their id; every connector is there without them.'),
    uploads: z
      .record(z.string().min(1).max(64), z.string())
      .default({})
      .describe('The folder that takes the files for a service, by its name.'),
    logs: z.string().optional().describe("The folder of the rotation ledger; logs/ in the gate's state folder by default."),
  })
  .describe('The MCP gateway.')
