// The machine's MCP server: its tools at /mcp, its health at /health, or one client on stdio.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { userInfo } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import type { Principal } from '../base/access/principal.ts'
import { answerJson } from '../base/http/answer.ts'
import { isLoopback } from '../base/http/host.ts'
import { metricsType } from '../base/http/metrics.ts'
import { openListener } from '../base/http/listener.ts'
import { type Admit, admitBearer, sourceOf } from '../base/mcp/tool/http.ts'
import { type ToolServer, createToolServer } from '../base/mcp/tool/server.ts'
import { type ToolSource, reaches } from '../base/mcp/tool/tool.ts'
import type { Clock } from '../kernel/clock.ts'
import { asFault, outside } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { Secret } from '../kernel/secret.ts'
import type { MachineSummary } from './api.ts'
import { type Audit, openAudit } from './audit.ts'
import type { OperateConfig } from './config.ts'
import { fault } from './faults.ts'
import type { HelperLink } from './helper/link.ts'
import { type Health, type HealthNeeds, type Scope, watchHealth } from './health.ts'
import { type Host, found } from './host.ts'
import { type Looking, lookingHandlers } from './looking.ts'
import { type Metrics, openMetrics } from './metrics/metrics.ts'
import { metricsPage } from './metrics/page.ts'
import type { MachineNeeds } from './needs.ts'
import type { Places } from './places.ts'
import { parseUptime } from './proc.ts'
import { type Changes, type InForce, changed } from './reload.ts'
import { machineSummary } from './summary.ts'

export type MachineServerNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly host: Host
  readonly helper: HelperLink
  /** Fairlead's own version. */
  readonly version: string
  readonly tools: readonly ToolSource<MachineNeeds>[]
  /** Where the log is kept besides, if it is. */
  readonly appLog?: HealthNeeds['appLog']
}

export type MachineServerSettings = {
  readonly config: OperateConfig
  readonly places: Places
  readonly token?: Secret | undefined
  /** Knows who sends a request, in place of `token`. */
  readonly admit?: Admit | undefined
  /** Without its helper the server is not well. */
  readonly isHelperExpected?: boolean
}

export interface MachineServer {
  /** The MCP endpoint. */
  readonly url: string
  /** Where health is told, by GET and without a credential. */
  readonly healthUrl: string
  /** What is told there, and why it is not well. */
  health(): Promise<{ readonly isOk: boolean; readonly reason?: string }>
  /** The server and the machine in a few numbers. */
  summary(): Promise<MachineSummary>
  /** What its tools tell that change nothing, without a record of each call. */
  readonly looking: Looking
  /** Goes on by another configuration, as far as it can. Fault `operate.token_wanted`. */
  take(next: InForce): Changes
  close(): Promise<void>
}

/** What is kept of the machine and of its calls. */
type Kept = { readonly metrics: Metrics; readonly audit: Audit }

/** Whoever comes in, and whoever does not, is written down. */
function auditedAdmit(admit: Admit, audit: Audit): Admit {
  return async (request) => {
    try {
      const principal = await admit(request)
      audit.login(principal, sourceOf(request, principal))
      return principal
    } catch (error) {
      const { code, message } = asFault(error)
      audit.authFailed(sourceOf(request), code, message)
      throw error
    }
  }
}

/** `now`: what is in force at each call. */
function toolNeeds(
  { host, helper, clock, version, metrics }: MachineServerNeeds & Pick<Kept, 'metrics'>,
  places: Places,
  now: () => OperateConfig,
): MachineNeeds {
  return {
    host,
    helper,
    clock,
    metrics,
    places,
    version,
    get config() {
      return now()
    },
  }
}

function toolServerOf(
  given: MachineServerNeeds & Kept & { readonly admit: Admit },
  places: Places,
  now: () => OperateConfig,
  roleOf: (principal: Principal) => string,
): ToolServer {
  const { tools, clock, log, version, audit, admit } = given
  const needs = toolNeeds(given, places, now)
  const { max_sessions: maxSessions, session_idle_minutes: idleMinutes } = now().server
  return createToolServer({
    name: 'fairlead-machine',
    title: 'Fairlead machine tools',
    version,
    instructions: 'Tools for the machine this server runs on. Start with system_get_basic_info and system_get_health_snapshot.',
    tools,
    needs,
    mayCall: (principal, tool) => reaches(roleOf(principal), tool.role),
    sandboxMode: () => now().testing.sandbox_mode,
    admit,
    record: audit,
    clock,
    log,
    limits: { maxSessions, sessionIdleMs: idleMinutes * 60_000 },
  })
}

/** Serves over HTTP. Faults `operate.token_wanted`, `http.port_busy`, `http.cannot_listen`. */
export async function startMachineServer(needs: MachineServerNeeds, settings: MachineServerSettings): Promise<MachineServer> {
  const { clock, log, version } = needs
  const { places, token, isHelperExpected = false } = settings
  const { logging, metrics: kept, server: listening, testing } = settings.config
  const { host, port } = listening
  const admitted = (admit: Admit | undefined): Admit => {
    if (!admit && !token && !isLoopback(host)) throw fault.token_wanted({ host })
    return admit ?? admitBearer(token)
  }
  let now = { config: settings.config, admit: admitted(settings.admit) }
  await using stack = new AsyncDisposableStack()
  const files = ['audit.log']
  const audit = stack.adopt(openAudit(needs, { ...logging, folder: places.logs, secret: places.secret, files }), (one) => one.close())
  const metrics = stack.adopt(openMetrics(needs, { ...kept, path: places.metrics }), (one) => one.close())
  const admit = auditedAdmit((request) => now.admit(request), audit)
  const roleOf = (principal: Principal): string => principal.role ?? now.config.server.role
  const server = toolServerOf({ ...needs, metrics, audit, admit }, places, () => now.config, roleOf)
  const health = stack.use(watchHealth({ ...needs, metrics, audit, server }, { limits: () => now.config.health, places, isHelperExpected }))
  const look = (scope: Scope): Promise<Pick<Health, 'status' | 'checks'>> =>
    health.look(scope).catch((error: unknown) => {
      log.error('machine.health', { error })
      return { status: 'unhealthy', checks: { health: { ok: false, reason: 'health could not be determined' } } }
    })
  const answerHealth = (scope: Scope) => (_request: IncomingMessage, response: ServerResponse) =>
    void look(scope).then((told) => answerJson(response, told.status === 'ok' ? 200 : 503, told))
  /** For whoever may call a tool. */
  const answerMetrics = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      await admit(request)
      const text = await metricsPage({ metrics, server: server.state, version })
      response.writeHead(200, { 'content-type': metricsType, 'cache-control': 'no-store' }).end(text)
    } catch (error) {
      const { kind, message, hint } = asFault(error)
      const challenge: Record<string, string> = kind === 'unauthenticated' ? { 'www-authenticate': 'Bearer' } : {}
      answerJson(response, outside[kind].httpStatus, { error: { message, hint } }, challenge)
    }
  }
  const pages = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>([
    ['/health', answerHealth('all')],
    ['/health/live', answerHealth('live')],
    ['/health/ready', answerHealth('ready')],
    ['/metrics', (request, response) => void answerMetrics(request, response)],
  ])
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const path = (request.url ?? '/').split('?')[0]!
    if (path === '/mcp') return server.handle(request, response)
    request.resume()
    const page = pages.get(path)
    if (!page)
      return answerJson(response, 404, {
        error: { message: `there is nothing at ${path}`, hint: `MCP is at /mcp; there are ${[...pages.keys()].join(', ')}` },
      })
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return answerJson(response, 405, { error: { message: `${path} is told by GET` } }, { allow: 'GET, HEAD' })
    page(request, response)
  }
  const refused = (reason: string, request: IncomingMessage): void => audit.authFailed(sourceOf(request), 'http.refused', reason)
  const listener = stack.adopt(await openListener({ clock, name: 'the machine tools', host, port, handle, refused }), (one) => one.close())
  stack.adopt(server, (one) => one.close())
  log.info('machine.listening', { url: `${listener.url}/mcp`, role: listening.role, sandbox: testing.sandbox_mode })
  metrics.begin() // after the port is taken: two servers must not fight for the database
  const held = stack.move()
  return {
    url: `${listener.url}/mcp`,
    healthUrl: `${listener.url}/health`,
    async health() {
      const { status, checks } = await look('all')
      const reasons = Object.values(checks).flatMap(({ ok, reason, optional }) => (ok || optional || reason === undefined ? [] : [reason]))
      return { isOk: status === 'ok', ...(reasons.length === 0 ? {} : { reason: reasons.join('; ') }) }
    },
    async summary() {
      const [own, seen, uptime] = await Promise.all([health.look('all'), metrics.realtime(), needs.host.text('/proc/uptime')])
      return machineSummary({
        url: `${listener.url}/mcp`,
        config: now.config,
        health: own,
        seen,
        uptime: found(uptime, '/proc/uptime', parseUptime),
      })
    },
    looking: lookingHandlers({ ...needs, needs: toolNeeds({ ...needs, metrics }, places, () => now.config) }),
    take({ config: next, admit: nextAdmit }) {
      const { config, ...changes } = changed(now.config, next)
      now = { config, admit: admitted(nextAdmit) }
      return changes
    },
    close: () => held.disposeAsync(),
  }
}

/** Whoever started the process, by number where the machine knows no name. */
function localUser(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.()}`
  }
}

/** One for each server on stdio that runs at the same time: a ledger has one writer. */
const stdioAudits = Array.from({ length: 32 }, (_, at) => `audit.stdio${at + 1}.log`)

/** Serves one client on stdio: whoever started the process, who may do all that this user may. Ends with the input. */
export async function serveMachineOnStdio(
  needs: MachineServerNeeds,
  settings: MachineServerSettings,
  input: Readable,
  output: Writable,
  signal: AbortSignal,
): Promise<void> {
  const local: Principal = { name: localUser(), via: 'door' }
  const { metrics: kept } = settings.config
  const metrics = openMetrics(needs, { ...kept, path: settings.places.metrics, isReader: true })
  const { places } = settings
  const audit = openAudit(needs, { ...settings.config.logging, folder: places.logs, secret: places.secret, files: stdioAudits })
  audit.login(local, 'stdio')
  const server = toolServerOf(
    { ...needs, metrics, audit, admit: () => local },
    places,
    () => settings.config,
    () => 'admin',
  )
  await server.overStdio(input, output, local, signal)
  await server.close()
  metrics.close()
  await audit.close()
}
