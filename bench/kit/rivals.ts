// Who is measured by the gate's benchmark: how each is installed, started, and found ready.
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { launcher } from './build.ts'
import { type Household, type Started, freePort, listens, until } from './children.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
export const echoStdio = here('echo-stdio.mjs')
const rivalsFolder = here('../rivals')

/** What a load generator needs to reach someone, and whose cost is counted. */
export type Running = {
  /** `load` when the load generator itself starts the servers: then its descendants, without itself, are counted. */
  readonly counted: number | 'load'
  readonly flags: readonly string[]
  readonly command?: readonly string[]
  readonly stop: () => Promise<void>
}

export type Contender = {
  readonly name: string
  readonly kind: 'ours' | 'rival' | 'beside' | 'floor'
  /** Which isolation it gives, so that like stands beside like. */
  readonly like?: 'session' | 'principal'
  readonly speaks: readonly ('legacy' | 'modern')[]
  readonly start: (household: Household) => Promise<Running>
}

/** Installs the pinned rivals when they are not there or not these; needs the npm registry the first time. */
export function installRivals(): void {
  const installed = join(rivalsFolder, 'node_modules/.package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(rivalsFolder, 'package-lock.json')).mtimeMs) return
  process.stderr.write('installing the rivals, once\n')
  execFileSync('npm', ['ci', '--prefix', rivalsFolder, '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

function installedCommand(name: string): string {
  const folder = join(rivalsFolder, 'node_modules', name)
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { bin: string | Record<string, string> }
  return join(folder, typeof bin === 'string' ? bin : bin[name]!)
}

const endpoint = (port: number, path = '/mcp'): string => `http://127.0.0.1:${port}${path}`

async function ready(started: Started, look: () => Promise<true | undefined>, what: string): Promise<void> {
  try {
    await until(look, `${what} did not start`, { hopeless: started.over })
  } catch (error) {
    await started.stop()
    throw error
  }
}

/** Starts a command that serves HTTP on the port it is given, and waits until it listens. */
async function served(household: Household, what: string, argv: (port: string) => readonly string[]): Promise<Running> {
  const port = await freePort()
  const started = household.start([process.execPath, ...argv(`${port}`)])
  await ready(started, () => listens(port), what)
  return { counted: started.pid, flags: ['--url', endpoint(port)], stop: started.stop }
}

const mcpProxy: Contender = {
  name: 'mcp-proxy 6.7.19',
  kind: 'rival',
  like: 'principal',
  speaks: ['legacy', 'modern'],
  start: (household) =>
    served(household, 'mcp-proxy', (port) => {
      const flags = ['--port', port, '--host', '127.0.0.1', '--server', 'stream']
      return [installedCommand('mcp-proxy'), ...flags, '--', process.execPath, echoStdio]
    }),
}

const supergateway: Contender = {
  name: 'supergateway 4.0.0 --stateful',
  kind: 'rival',
  like: 'session',
  speaks: ['legacy', 'modern'],
  start: (household) =>
    served(household, 'supergateway', (port) => {
      const flags = ['--outputTransport', 'streamableHttp', '--stateful', '--port', port, '--logLevel', 'none']
      return [installedCommand('supergateway'), '--stdio', `${process.execPath} ${echoStdio}`, ...flags]
    }),
}

const mcpHub: Contender = {
  name: 'mcp-hub 4.2.1 (HTTP+SSE)',
  kind: 'beside',
  speaks: ['legacy'],
  async start(household) {
    const port = await freePort()
    const home = household.place('hub')
    const config = join(home, 'servers.json')
    writeFileSync(config, JSON.stringify({ mcpServers: { echo: { command: process.execPath, args: [echoStdio] } } }))
    const started = household.start([process.execPath, installedCommand('mcp-hub'), '--port', `${port}`, '--config', config], {
      env: { HOME: home },
    })
    const isServing = async (): Promise<true | undefined> => {
      const answer = await fetch(endpoint(port, '/api/health')).catch(() => undefined)
      const { servers } = ((await answer?.json()) ?? {}) as { servers?: { status?: string }[] }
      return servers?.some(({ status }) => status === 'connected') ? true : undefined
    }
    await ready(started, isServing, 'mcp-hub')
    return { counted: started.pid, flags: ['--url', endpoint(port), '--transport', 'sse'], stop: started.stop }
  },
}

/** Our gate as an operator runs it: authentication, one rule, pinned tools, and the ledger on; or with rules on arguments by a role, and limits of every kind, too. */
function ours(isolation: 'session' | 'principal', checks: '' | ', every check' = ''): Contender {
  return {
    name: `fairlead gate, ${isolation}${checks}`,
    kind: 'ours',
    like: isolation,
    speaks: ['legacy', 'modern'],
    async start(household) {
      const port = await freePort()
      const home = household.place('gate')
      const token = randomBytes(24).toString('base64url')
      const config = join(home, 'fairlead.toml')
      writeFileSync(config, gateConfig({ port, state: join(home, 'state'), isolation, token }, checks === '' ? oneRule : everyCheck), {
        mode: 0o600,
      })
      const started = household.start([launcher, 'gate', 'serve', '--config', config], { env: { HOME: home }, cwd: home })
      const isLive = async (): Promise<true | undefined> => {
        const answer = await fetch(endpoint(port, '/livez')).catch(() => undefined)
        await answer?.body?.cancel()
        return answer?.ok ? true : undefined
      }
      await ready(started, isLive, 'fairlead gate')
      return { counted: started.pid, flags: ['--url', endpoint(port, '/mcp/echo'), `--token=${token}`], stop: started.stop }
    },
  }
}

const oneRule = `[[gate.rules]]
principals = ["bench"]
upstreams = ["echo"]
tools = ["*"]
`

/** `roles` stands right after the principal's token. */
const everyCheck = `roles = ["caller"]
metrics = true
[[gate.roles.caller.rules]]
upstreams = ["echo"]
tools = ["ec*"]
arguments.text = "*"
arguments.size = { min = 0, max = 1048576 }
[[gate.limits]]
calls_per_minute = 10000000
bytes_per_minute = 1000000000000
concurrent = 64
[[gate.limits]]
per = "principal"
calls_per_minute = 10000000
`

function gateConfig(d: { port: number; state: string; isolation: string; token: string }, access: string): string {
  const quoted = (text: string): string => JSON.stringify(text)
  return `[gate]
listen = "127.0.0.1:${d.port}"
state = ${quoted(d.state)}
[gate.upstreams.echo]
command = [${quoted(process.execPath)}, ${quoted(echoStdio)}]
isolation = "${d.isolation}"
[gate.principals.bench]
token_sha256 = "${createHash('sha256').update(d.token).digest('hex')}"
${access}`
}

const directStdio: Contender = {
  name: 'direct stdio, a child a client',
  kind: 'floor',
  speaks: ['legacy'],
  start: () =>
    Promise.resolve({
      counted: 'load',
      flags: ['--transport', 'stdio'],
      command: [process.execPath, echoStdio],
      stop: () => Promise.resolve(),
    }),
}

const bareRelay: Contender = {
  name: 'bare relay, session',
  kind: 'floor',
  speaks: ['legacy'],
  start: (household) => served(household, 'the bare relay', (port) => [here('bare-relay.mjs'), port, process.execPath, echoStdio]),
}

const directHttp: Contender = {
  name: 'direct HTTP (SDK v1, JSON)',
  kind: 'floor',
  speaks: ['legacy'],
  start: (household) => served(household, 'the echo server', (port) => [here('echo-http.mjs'), port, 'json']),
}

export const contenders: readonly Contender[] = [
  ours('session'),
  ours('session', ', every check'),
  ours('principal'),
  ours('principal', ', every check'),
  supergateway,
  mcpProxy,
  mcpHub,
  bareRelay,
  directHttp,
  directStdio,
]
