// Whether a component is well: asked in each way that its definition declares, the real MCP handshake and probe call among them.
import { type Clock, deadline } from '../../kernel/clock.ts'
import { asFault, reasonOf } from '../../kernel/fault.ts'
import type { HttpClient } from '../../base/http/client.ts'
import { openProbe } from '../../base/mcp/probe.ts'
import { knock } from '../../base/peer/knock.ts'
import type { Container, Runtime } from '../runtime.ts'
import { type Seal, isSealed } from '../seal/seal.ts'
import type { Component, Health, McpHealth } from '../service/config.ts'

/** `starting`: not well yet, and nothing says that it will not be. `sealed`: as well as it can be before a person gives it its password. */
export type Verdict = { readonly health: 'healthy' | 'starting' | 'unhealthy' | 'sealed'; readonly reason: string }

export type HealthNeeds = { readonly clock: Clock; readonly runtime: Runtime; readonly client: HttpClient }

const healthy: Verdict = { health: 'healthy', reason: '' }
const ill = (reason: string): Verdict => ({ health: 'unhealthy', reason })

/** True where something is declared that can be asked. */
export function hasHealth({ health, mcp }: Component): boolean {
  return (
    mcp !== undefined ||
    (health !== undefined && (health.container || [health.command, health.http, health.tcp].some((way) => way !== undefined)))
  )
}

/** Asks once, in every declared way; the first bad answer is the verdict. Never rejects, except with the signal's reason. */
export async function askHealth(needs: HealthNeeds, component: Component, container: Container, signal: AbortSignal): Promise<Verdict> {
  if (container.state !== 'running')
    return ill(container.exitCode === undefined ? 'it does not run' : `it ended with exit code ${container.exitCode}`)
  const timeoutMs = component.health?.timeout ?? 3_000
  for (const ask of waysOf(needs, component, container)) {
    const late = deadline(needs.clock, timeoutMs, signal)
    const verdict = await ask(late).catch((error: unknown) => ill(late.aborted ? `no answer within ${timeoutMs} ms` : wordsOf(error)))
    signal.throwIfAborted()
    if (verdict.health !== 'healthy') return verdict
  }
  return healthy
}

function wordsOf(error: unknown): string {
  const fault = asFault(error)
  return fault.kind === 'bug' ? reasonOf(error) : fault.message
}

type Ask = (signal: AbortSignal) => Promise<Verdict>

function* waysOf(needs: HealthNeeds, { health, mcp, seal }: Component, container: Container): Generator<Ask> {
  if (seal) yield (signal) => askSeal(needs, seal, signal)
  if (health?.container) yield () => askImage(needs.runtime, container)
  if (health?.command) yield () => askCommand(needs.runtime, container, health)
  if (health?.tcp !== undefined) yield (signal) => askTcp(health.tcp!, signal)
  if (health?.http !== undefined) yield (signal) => askHttp(needs.client, health.http!, signal)
  if (mcp) yield (signal) => askMcp(needs, mcp, container, health?.timeout ?? 3_000, signal)
}

async function askSeal({ clock }: HealthNeeds, seal: Seal, signal: AbortSignal): Promise<Verdict> {
  return (await isSealed(clock, seal, signal)) ? { health: 'sealed', reason: 'it waits for its password: mcp unseal' } : healthy
}

async function askImage(runtime: Runtime, { id }: Container): Promise<Verdict> {
  const found = await runtime.checkHealth(id)
  if (found === undefined) return ill('the image has no health check of its own')
  return found === 'healthy' ? healthy : { health: found, reason: `the image's own health check says ${found}` }
}

async function askCommand(runtime: Runtime, { id }: Container, { command, timeout }: Health): Promise<Verdict> {
  const { exitCode, output } = await runtime.exec(id, command!, timeout)
  return exitCode === 0 ? healthy : ill(`${command![0]} ended with ${exitCode}: ${lastLine(output)}`)
}

async function askTcp(text: string, signal: AbortSignal): Promise<Verdict> {
  const at = text.lastIndexOf(':')
  const problem = await knock({ host: text.slice(0, at).replaceAll(/[[\]]/g, ''), port: Number(text.slice(at + 1)) }, signal)
  return problem === undefined ? healthy : ill(`${text}: ${problem}`)
}

async function askHttp(client: HttpClient, url: string, signal: AbortSignal): Promise<Verdict> {
  const response = await client.send({ method: 'GET', url: new URL(url), headers: { accept: '*/*' }, signal })
  response.on('error', () => {}).destroy()
  const status = response.statusCode!
  return status >= 200 && status < 400 ? healthy : ill(`${url} answered HTTP ${status}`)
}

async function askMcp(
  { clock, runtime }: HealthNeeds,
  mcp: McpHealth,
  { id, name }: Container,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Verdict> {
  const target =
    mcp.stdio === undefined ? { name, url: mcp.url! } : { name, command: runtime.stdioArgv(id, mcp.stdio), env: {}, said: () => {} }
  await using probe = await openProbe(clock, target, signal, { timeoutMs })
  if (mcp.probe === undefined) return healthy
  const { tool, arguments: input, expect } = mcp.probe
  if (!probe.tools.includes(tool)) return ill(`it has no tool ${tool}`)
  const { text, result } = await probe.call(tool, input)
  const whole = result === undefined ? text : `${text}\n${JSON.stringify(result)}`
  return expect === undefined || whole.includes(expect) ? healthy : ill(`${tool} answered without "${expect}": ${lastLine(whole)}`)
}

function lastLine(text: string): string {
  return (text.trim().split('\n').at(-1) ?? '').slice(0, 300)
}
