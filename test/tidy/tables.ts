// The tables of the house: layers, doors, packages. To allow something is to write a line here, where a reviewer sees it.

/** Folders of `src/base`: each may import the kernel and those before it. */
export const baseOrder = [
  'terminal',
  'config',
  'store',
  'identity',
  'http',
  'ledger',
  'kv',
  'cluster',
  'access',
  'wire',
  'supervise',
  'transfer',
  'steps',
  'checks',
  'mcp',
  'control',
  'peer',
] as const

/** Folders of `src` that are no capability. */
export const notCapabilities: ReadonlySet<string> = new Set(['kernel', 'base', 'daemons', 'commands', 'web'])

/** Extension points: every file right in such a folder is one extension; a folder below it is what one extension is made of. */
export const pluralFolder =
  /^src\/(?:daemons|commands|base\/mcp\/eras|web\/pages|(?!base\/)[\w-]+\/(?:commands|tools|checks|registries|runtimes|upstreams|clients|connectors))\/[^/]+$/

/** The only composers across capabilities; main.ts and library.ts hand over what a daemon's file composes. */
export const composer = /^src\/(?:(?:daemons|commands)\/|(?:main|library)\.ts$)/

/** A capability's own commands may load the generated list, to compose what lies in their own plural folders. */
export const ownCommand = /^src\/[\w-]+\/commands\//

export type Door = {
  readonly what: string
  /** Node's modules that lead through this door; with `names`, only those exports of them. */
  readonly modules?: RegExp
  readonly names?: RegExp
  /** Code that needs no import. */
  readonly code?: RegExp
  readonly allowed: RegExp
  readonly instead: string
}

const writes =
  /^(?:default|\*|writeFile|appendFile|createWriteStream|rename|rm|rmdir|unlink|mkdir|mkdtemp|copyFile|cp|chmod|chown|lchown|fchmod|truncate|ftruncate|symlink|link|utimes|fsync|fdatasync|write|writev)(?:Sync)?$/

/** Rule 5: one door for each hazard. */
export const doors: readonly Door[] = [
  {
    what: 'child processes',
    modules: /^(?:node:)?(?:child_process|cluster)$/,
    code: /(?<![\w.])process\.kill\(/g,
    allowed: /^src\/(?:kernel\/exec\.ts|base\/supervise\/)/,
    instead: 'exec of kernel/exec.ts, or base/supervise',
  },
  { what: 'SQLite', modules: /^node:sqlite$/, allowed: /^src\/base\/store\//, instead: 'base/store' },
  { what: 'threads', modules: /^(?:node:)?worker_threads$/, allowed: /^src\/base\/store\//, instead: 'base/store' },
  {
    what: 'sockets and HTTP',
    modules: /^(?:node:)?(?:net|http|https|http2|tls|dgram)$/,
    names: /^(?!isIP(?:v[46])?$|BlockList$|checkServerIdentity$)/,
    allowed: /^src\/base\/(?:http\/|control\/|peer\/|wire\/unix\.ts$|identity\/ssh-agent\.ts$)/,
    instead: 'base/http, base/control, base/peer or base/wire/unix.ts; ssh-agent has its own in base/identity',
  },
  {
    what: 'file writes',
    modules: /^(?:node:)?fs(?:\/promises)?$/,
    names: writes,
    allowed: /^src\/(?:kernel\/(?:log-)?file\.ts|base\/(?:store|ledger|transfer)\/)/,
    instead: 'writeWhole, makeFolder or removeFile of kernel/file.ts',
  },
  {
    what: 'time',
    modules: /^(?:node:)?(?:timers(?:\/promises)?|perf_hooks)$/,
    code: /\bDate\.now\b|\bnew Date\(\)|(?<!\.)\bperformance\.now\b|(?<![\w.])(?:setTimeout|setInterval)\(|\bAbortSignal\.timeout\(|\bprocess\.(?:hrtime|uptime)\b/g,
    allowed: /^src\/(?:kernel\/|web\/browser\.ts$)/,
    instead: 'a Clock of kernel/clock.ts, handed in; in the browser web/browser.ts',
  },
  {
    what: 'randomness',
    modules: /^(?:node:)?crypto$/,
    names: /^(?:\*|default|randomBytes|randomFill|randomFillSync|randomInt|randomUUID|randomUUIDv7|webcrypto|getRandomValues)$/,
    code: /\bMath\.random\b|\bcrypto\.(?:getRandomValues|randomUUID)\b/g,
    allowed: /^src\/(?:kernel\/|web\/secret\.ts$)/,
    instead: 'kernel/random.ts; in the browser web/secret.ts',
  },
  {
    what: 'the process',
    modules: /^(?:node:)?process$/,
    code: /(?<![\w.])process\.(?:env|argv|exit|exitCode|abort|chdir|umask|on|once|stdin|stdout|stderr)\b/g,
    allowed: /^src\/(?:main|library)\.ts$/,
    instead: 'the Context that main.ts hands to the command',
  },
  { what: 'the console', code: /(?<![\w.])console\.\w+/g, allowed: /^$/, instead: 'the Terminal for a person, the Log for an operator' },
]

export type Package = { readonly names: RegExp; readonly allowed: RegExp; readonly why: string; readonly isTypeFree?: true }

/** Each npm package with the files that may import it. With `isTypeFree` its types may be named anywhere. */
export const packages: readonly Package[] = [
  {
    names: /^(?:libp2p$|@libp2p\/|@multiformats\/|multiformats\b|uint8array|it-)/,
    allowed: /^src\/base\/peer\//,
    why: 'streams between peers stand behind base/peer',
  },
  { names: /^commander$/, allowed: /^src\/base\/terminal\/parse\.ts$/, why: 'arguments are read by base/terminal/parse.ts' },
  {
    names: /^zod$/,
    allowed:
      /^src\/(?:base\/config\/|base\/control\/offers\.ts$|[\w-]+\/(?:[\w-]+\/)?(?:config|api)\.ts$|base\/mcp\/tool\/|operate\/(?:tools\/|answers\.ts$|[\w-]+\/(?:settings|answers)\.ts$))/,
    why: 'schemas stand in config.ts, api.ts, tools and what daemons offer',
    isTypeFree: true,
  },
  { names: /^(?:smol-toml|yaml|toml-eslint-parser)$/, allowed: /^src\/base\/config\//, why: 'configuration is read by base/config' },
  { names: /^jose$/, allowed: /^src\/base\/access\//, why: 'signed tokens are checked by base/access', isTypeFree: true },
  { names: /^age-encryption$/, allowed: /^src\/base\/identity\//, why: 'what is sealed is sealed by base/identity' },
  { names: /^cborg\b/, allowed: /^src\/base\/identity\//, why: 'records are encoded by base/identity' },
  {
    names: /^(?:age-encryption$|@noble\/curves\b)/,
    allowed: /^src\/base\/identity\//,
    why: 'what is sealed to a peer is sealed by base/identity',
  },
  { names: /^(?:preact|uplot)\b/, allowed: /^src\/web\//, why: 'the dashboard in the browser, and nothing else, is made of them' },
  {
    names: /^@nats-io\//,
    allowed: /^src\/base\/kv\/(?:nats|asking|jetstream|jetstream-feed)\.ts$/,
    why: 'a cluster is reached through base/kv, and only where one is configured',
  },
  {
    names: /^@modelcontextprotocol\//,
    allowed: /^src\/base\/mcp\/(?:tool\/(?:server|http)|probe)\.ts$/,
    why: 'the SDK drops what it does not know, so it stands at the ends only (the server of tools, probe, tests)',
  },
]

/** Packages that what starts in a file, or in any file of a folder, may reach through all its imports, lazy ones too. The helper runs as root, with the tools: its list is short and written down. */
export const closures: Readonly<Record<string, RegExp>> = {
  'src/operate/helper/serve.ts': /^(?:zod|smol-toml|yaml|toml-eslint-parser)$/,
  'src/operate/tools/': /^(?:zod|smol-toml|yaml|toml-eslint-parser)$/,
}

/** What is loaded when it is asked for, and never with the file that stands before it on every call's way. */
export const loadedLater: Readonly<Record<string, RegExp>> = {
  'src/gate/gate.ts': /^src\/gate\/dashboard\/(?:serving|files|live|same-site)\.ts$/,
}

export const maxLines = 400

/** A name says what a file is about; these say nothing. */
export const emptyNames =
  /^(?:utils?|helpers|manager|types|service|services|common|misc|index|constants|shared)$|-(?:utils?|helpers?|manager|impl)$/
