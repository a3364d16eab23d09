// The closed loop of a load generator: clients that each call one after another, told by the benchmark when to begin and when to leave.
import { createInterface } from 'node:readline'
import { percentile } from './numbers.ts'

/** One MCP client of the load; each method rejects with what went wrong. */
export interface Client {
  /** Connects, and ends with a session that may be called. */
  open(): Promise<void>
  /** One `tools/call` of the echo tool; resolves when the right answer to this very call is here. */
  call(text: string): Promise<void>
  close(): Promise<void>
}

export type LoadPlan = {
  readonly clients: number
  /** A client, unless the time is up before. */
  readonly calls: number
  readonly warmup: number
  /** For the run; the warm-up has a quarter of it. Someone who starts a process a call would else take an hour. */
  readonly limitSeconds: number
}

export type LoadResult = {
  readonly calls: number
  readonly failures: number
  /** The first few distinct ones. */
  readonly reasons: readonly string[]
  readonly seconds: number
  readonly callsPerSecond: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  /** What the load generator itself spent, user and system, a call. */
  readonly loadCpuMsPerCall: number
}

const callLimitMs = 60_000
const maxReasons = 5

/** Throws unless `answer` is the result of this call: the text that was sent, padded to the size that was asked for. */
export function verify(answer: EchoAnswer, text: string, sizeBytes: number): void {
  const given = answer.result?.content?.[0]?.text
  if (given === undefined) throw new Error(`no echo: ${JSON.stringify(answer.error ?? answer).slice(0, 200)}`)
  if (!given.startsWith(text) || (given.length > text.length && given[text.length] !== ' ')) {
    throw new Error(`another's answer: ${given.slice(0, 40)} instead of ${text}`)
  }
  if (given.length !== Math.max(text.length, sizeBytes)) throw new Error(`an answer of ${given.length} bytes instead of ${sizeBytes}`)
}

export type EchoAnswer = {
  readonly id?: unknown
  readonly method?: string
  readonly result?: { readonly content?: readonly { readonly text?: string }[] }
  readonly error?: unknown
}

function within<Value>(promise: Promise<Value>, what: string): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what} took more than ${callLimitMs} ms`)), callLimitMs)
    promise.finally(() => clearTimeout(timer)).then(resolve, reject)
  })
}

type Round = { readonly failures: number; readonly reasons: Set<string>; readonly latencies: Float64Array }

async function round(clients: readonly Client[], calls: number, limitSeconds: number, name: string): Promise<Round> {
  const latencies = new Float64Array(clients.length * calls)
  const deadline = performance.now() + limitSeconds * 1000
  let done = 0
  const reasons = new Set<string>()
  let failures = 0
  await Promise.all(
    clients.map(async (client, at) => {
      for (let call = 0; call < calls && performance.now() < deadline; call++) {
        const from = performance.now()
        try {
          await within(client.call(`${name}-${at}-${call}`), 'a call')
        } catch (error) {
          failures++
          if (reasons.size < maxReasons) reasons.add((error as Error).message)
        }
        latencies[done++] = performance.now() - from
      }
    }),
  )
  return { failures, reasons, latencies: latencies.subarray(0, done).sort() }
}

/**
 * Opens the clients, warms up, says `{"ready":true}` on stdout, runs at the first line on stdin, prints the result, and closes the clients at
 * the second: so that the benchmark reads the gateway's CPU at the right moments and its memory while the sessions live.
 */
export async function drive(make: (index: number) => Client, plan: LoadPlan): Promise<void> {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  const clients = Array.from({ length: plan.clients }, (_, index) => make(index))
  try {
    for (const client of clients) await within(client.open(), 'opening a session')
    const warm = await round(clients, plan.warmup, plan.limitSeconds / 4, 'warm')
    if (warm.failures > 0) throw new Error(`${warm.failures} of the warm-up calls failed: ${[...warm.reasons].join('; ')}`)
    process.stdout.write('{"ready":true}\n')
    if ((await lines.next()).done) return
    const cpuBefore = process.cpuUsage()
    const from = performance.now()
    const { failures, reasons, latencies } = await round(clients, plan.calls, plan.limitSeconds, 'run')
    const seconds = (performance.now() - from) / 1000
    const cpu = process.cpuUsage(cpuBefore)
    const result: LoadResult = {
      calls: latencies.length,
      failures,
      reasons: [...reasons],
      seconds,
      callsPerSecond: (latencies.length - failures) / seconds,
      p50Ms: percentile(latencies, 0.5),
      p95Ms: percentile(latencies, 0.95),
      p99Ms: percentile(latencies, 0.99),
      loadCpuMsPerCall: (cpu.user + cpu.system) / 1000 / latencies.length,
    }
    process.stdout.write(`${JSON.stringify(result)}\n`)
    await lines.next()
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: (error as Error).message })}\n`)
  } finally {
    await Promise.race([Promise.allSettled(clients.map((client) => client.close())), new Promise((resolve) => setTimeout(resolve, 2_000))])
    process.exit()
  }
}
