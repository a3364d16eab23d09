// The service file: what should run, where, and how one knows that it is well. `~/.config/mcp/services/<service>.toml`.
import { isIP } from 'node:net'
import { z } from 'zod'
import { duration } from '../../base/config/duration.ts'
import { sizeBytes } from '../../base/config/size.ts'

/** Of services, components, routes and nodes: a DNS label (RFC 1123 §2.1), since host names and container names are made of them. */
export const name = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be of a-z, 0-9 and -, and begin and end with one of a-z and 0-9')

const noControl = (text: string): boolean => !/\p{Cc}/u.test(text)
const plain = z.string().refine(noControl, 'may not hold control characters')
const argv = z.array(z.string().refine((text) => !text.includes('\0'), 'may not hold NUL'))

/** `[HOST[:PORT]/]NAME[/NAME…][:TAG][@DIGEST]`: never a way to a file of the machine (docker-archive:/…), which would be another kind of place. */
const imageText =
  /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?\/)?[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/

/** With a tag or a digest that is said: what runs must be told from what ran before. */
const image = plain
  .min(1)
  .max(512)
  .regex(imageText, 'must be an image such as registry:5000/name:v1.2')
  .refine((text) => /@sha256:[0-9a-f]{64}$/.test(text) || /:[\w][\w.-]{0,127}$/.test(text), 'needs a tag or a digest: name:v1.2')
  .refine((text) => !text.endsWith(':latest'), 'needs a tag that means one thing: latest does not')

const portNumber = z.coerce.number().int().min(1).max(65_535)

/** `[ADDRESS:]HOSTPORT:PORT[/udp]`; without an address, of this machine alone. */
const portText = plain.transform((text, context) => {
  const [, address, host, container, protocol] = /^(?:(\[[0-9a-f:.]+\]|[\d.]+):)?(\d+):(\d+)(?:\/(tcp|udp))?$/i.exec(text) ?? []
  const [hostPort, containerPort] = [portNumber.safeParse(host), portNumber.safeParse(container)]
  if (hostPort.success && containerPort.success && (address === undefined || isIP(address.replaceAll(/[[\]]/g, '')) > 0))
    return {
      address: address?.replaceAll(/[[\]]/g, '') ?? '127.0.0.1',
      hostPort: hostPort.data,
      containerPort: containerPort.data,
      protocol: (protocol ?? 'tcp') as 'tcp' | 'udp',
    }
  context.addIssue({ code: 'custom', message: 'must be such as 8080:80 or 127.0.0.1:8080:80' })
  return z.NEVER
})

/** `SOURCE:TARGET[:ro]`: a path of the machine, or the name of a volume. */
const volumeText = plain.transform((text, context) => {
  const [, source, target, options] = /^([^:]+):(\/[^:]*)(?::(ro|rw))?$/.exec(text) ?? []
  const isPath = source?.startsWith('/') === true
  const problem =
    source === undefined || !isWhole(target!) || !(isPath ? isWhole(source) : /^\w[\w.-]*$/.test(source))
      ? 'must be such as /srv/name:/data or /srv/name:/data:ro, without ..'
      : kernelFolders.test(source)
        ? `${source} is the machine itself: name the folder that is needed`
        : kernelFolders.test(target!)
          ? `nothing can be put at ${target} inside: name another folder`
          : undefined
  if (problem === undefined) return { source: source!, target: target!, isReadOnly: options === 'ro' }
  context.addIssue({ code: 'custom', message: problem })
  return z.NEVER
})

/** All of the machine, or what the kernel shows of it: whoever has that has the machine. */
const kernelFolders = /^\/(?:(?:proc|sys|dev)(?:\/.*)?)?$/

/** A path with one way to read it: no `.`, no `..`, nothing empty. */
function isWhole(path: string): boolean {
  return path === '/' || path.split('/').every((part, at) => (part === '') === (at === 0) && part !== '.' && part !== '..')
}

const restartText = z.string().transform((text, context) => {
  const [, policy, most] = /^(no|always|unless-stopped|on-failure)(?::(\d{1,4}))?$/.exec(text) ?? []
  if (policy !== undefined && (most === undefined || policy === 'on-failure'))
    return { policy: policy as RestartPolicy, most: Number(most ?? 0) }
  context.addIssue({ code: 'custom', message: 'must be no, always, unless-stopped, on-failure or on-failure:N' })
  return z.NEVER
})
type RestartPolicy = 'no' | 'always' | 'unless-stopped' | 'on-failure'

const env = plain.regex(/^[A-Za-z_]\w*=/, 'must be such as NAME=value')

const localUrl = z.url({ protocol: /^https?$/ })
const hostPort = z.string().regex(/^(?:\[[0-9a-f:.]+\]|[\w.-]+):\d{1,5}$/i, 'must be such as 127.0.0.1:8080')

const health = z
  .strictObject({
    container: z.boolean().default(false).describe("The image's own health check."),
    command: argv.min(1).optional().describe('Run inside the container: 0 is well.'),
    http: localUrl.optional().describe('An address of this node that must answer 2xx or 3xx.'),
    tcp: hostPort.optional().describe('An address of this node that must accept a connection.'),
    within: duration({ leastMs: 100, mostMs: 3_600_000 })
      .prefault('60s')
      .describe('How long a start may take until it is well, or the update goes back.'),
    interval: duration({ leastMs: 100 }).prefault('10s').describe('How often it is asked while it runs.'),
    timeout: duration({ leastMs: 50, mostMs: 60_000 }).prefault('3s').describe('How long one answer may take.'),
    retries: z.int().min(1).max(100).default(3).describe('So many bad answers in a row make it unhealthy.'),
  })
  .describe('How one knows that the component is well.')

const mcp = z
  .strictObject({
    transport: z.enum(['http', 'stdio']).default('http').describe('stdio: the command of `stdio` is run inside the container.'),
    url: localUrl.optional().describe('Where it answers, as seen from the node.'),
    stdio: argv.min(1).optional().describe('The argv of the server inside the container.'),
    probe: z
      .strictObject({
        tool: z.string().min(1).describe('A tool that has no effect.'),
        arguments: z.record(z.string(), z.unknown()).default({}),
        expect: z.string().optional().describe('A text that the answer must hold.'),
      })
      .optional()
      .describe('A call that must be answered without an error.'),
  })
  .refine(({ transport, url, stdio }) => (transport === 'http' ? url !== undefined && !stdio : stdio !== undefined && !url), {
    error: 'needs url for transport http, and stdio for transport stdio',
  })
  .describe('It is an MCP server: well means that it shakes hands, and answers the probe.')

const seal = z
  .strictObject({
    check: localUrl.describe('Answers JSON with "sealed": true or false (or HTTP 503 while it is sealed).'),
    unseal: localUrl.describe('Takes POST {"password": …}.'),
    ca: z
      .string()
      .regex(/^\//, 'must be an absolute path')
      .optional()
      .describe('The certificate authority of those addresses (PEM file); needed where they are https.'),
  })
  .describe('It starts sealed, and wants a password of a person: mcp unseal.')

const route = z.strictObject({
  name: name.default('default'),
  port: z.int().min(1).max(65_535).describe('The port of the node that the component answers on.'),
  mode: z.enum(['l4', 'l7']).default('l4').describe('l4: the bytes of TLS as they are; l7: HTTP, with X-Forwarded-For.'),
  hostname: z
    .string()
    .regex(
      /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i,
      'must be a host name such as web.example.org',
    )
    .describe('The name that clients ask for (SNI).'),
})

const unique = <Item>(items: readonly Item[], key: (item: Item) => unknown): boolean => new Set(items.map(key)).size === items.length

const component = z
  .strictObject({
    name,
    image,
    network: z
      .string()
      .regex(/^[a-z0-9][\w.-]{0,62}$/i, 'must be the name of a network, host or none')
      .optional(),
    user: z
      .string()
      .regex(/^[\w.-]+(?::[\w.-]+)?$/, 'must be a user, or user:group')
      .optional(),
    restart: restartText
      .prefault('on-failure:3')
      .describe('What the runtime does by itself when it ends; past N the agent goes on, with back-off.'),
    ports: z.array(portText).max(64).default([]),
    volumes: z.array(volumeText).max(64).default([]),
    cmd: argv.max(256).default([]),
    env: z.array(env).max(256).default([]),
    memory: sizeBytes({ leastBytes: 4 << 20, mostBytes: 2 ** 40 }).optional(),
    cpus: z.number().positive().max(1_024).optional(),
    pids: z.int().min(1).max(4_194_304).optional(),
    update: z
      .enum(['auto', 'beside', 'in-place'])
      .default('auto')
      .describe(
        'beside: the new one is well before the old one ends. auto: so where both can run at once (no port that the old one has, and no writable volume).',
      ),
    stop_within: duration({ mostMs: 3_600_000 }).prefault('10s').describe('How long it may take to end before it is killed.'),
    health: health.optional(),
    mcp: mcp.optional(),
    seal: seal.optional(),
    routes: z
      .array(route)
      .max(32)
      .default([])
      .refine((routes) => unique(routes, (one) => one.name), 'each route needs a name of its own'),
  })
  .refine(({ env: list }) => unique(list, (text) => text.slice(0, text.indexOf('='))), { error: 'names a variable twice', path: ['env'] })
  .refine(({ ports }) => unique(ports, (port) => `${port.address} ${port.hostPort} ${port.protocol}`), {
    error: 'uses a port twice',
    path: ['ports'],
  })
  .refine(({ volumes }) => unique(volumes, ({ target }) => target), { error: 'puts two things at one place', path: ['volumes'] })
  .refine(
    ({ routes, ports, network }) => network === 'host' || routes.every(({ port }) => ports.some(({ hostPort }) => hostPort === port)),
    {
      error: 'leads to a port that is not in ports: no other port of the machine is its own',
      path: ['routes'],
    },
  )

/** The whole file. */
export const serviceFile = z
  .strictObject({
    schema: z.literal(1).default(1),
    name,
    node: name.describe('The machine that it runs on (mcp node list).'),
    active: z.boolean().default(true).describe('Whether it should run: what stop and start write.'),
    gate: z.boolean().default(false).describe('Its MCP servers appear at the gate of that machine by themselves.'),
    on_drift: z
      .enum(['restart', 'redeploy', 'alert', 'ignore'])
      .default('restart')
      .describe('What the node does by itself when something is not as it should be.'),
    after: z.array(name).max(64).default([]).describe('Services of the same node that are started before it after a reboot.'),
    components: z
      .array(component)
      .min(1)
      .max(64)
      .refine((list) => unique(list, (one) => one.name), 'each component needs a name of its own'),
  })
  .refine(
    ({ components }) =>
      unique(
        components.flatMap(({ ports }) => ports),
        (port) => `${port.address} ${port.hostPort} ${port.protocol}`,
      ),
    {
      error: 'two components use the same port',
      path: ['components'],
    },
  )

export type Service = z.output<typeof serviceFile>
export type Component = Service['components'][number]
export type Health = z.output<typeof health>
export type McpHealth = z.output<typeof mcp>
export type DriftPolicy = Service['on_drift']

/** Of a service file. */
export const maxServiceLength = 256 << 10

/** What a service file says, on its way between machines: the same text, checked again where it arrives. */
export const serviceText = z.string().max(maxServiceLength)
