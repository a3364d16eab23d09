// A raw MCP client over the stdio of a command: lines in, lines out, each answer by its id. It knows no SDK, so that nothing is smoothed over.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export type Answer = {
  readonly id: unknown
  readonly result?: {
    readonly content?: readonly { readonly text: string }[]
    readonly tools?: readonly { readonly name: string }[]
  } & Readonly<Record<string, unknown>>
  readonly error?: { readonly code: number; readonly message: string; readonly data?: { readonly reason: string } }
}

export interface McpClient {
  readonly process: ChildProcessWithoutNullStreams
  /** Every line of stdout that is no answer to `request`. */
  readonly others: Answer[]
  stderr(): string
  write(line: string): void
  request(method: string, params?: unknown): Promise<Answer>
  /** The text of a tool's first content. */
  call(name: string, given?: Record<string, unknown>): Promise<string>
  initialize(): Promise<Answer>
  /** The exit code, or the signal. */
  readonly ended: Promise<number | string>
}

/** Starts the command; requests that are open when it ends are rejected. */
export function mcpClient(argv: readonly [string, ...string[]], env: Readonly<Record<string, string>>): McpClient {
  const child = spawn(argv[0], argv.slice(1), { env: { ...env } })
  const waiting = new Map<unknown, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>()
  const others: Answer[] = []
  let errors = ''
  let lastId = 0
  child.stdin.on('error', () => {})
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  createInterface({ input: child.stdout }).on('line', (line) => {
    const answer = JSON.parse(line) as Answer
    const waiter = waiting.get(answer.id)
    waiting.delete(answer.id)
    if (waiter) waiter.resolve(answer)
    else others.push(answer)
  })
  const ended = once(child, 'close').then(([exitCode, signal]) => {
    for (const { reject } of waiting.values()) reject(new Error(`the client ended without an answer: ${errors}`))
    return (exitCode ?? signal) as number | string
  })
  const write = (line: string): void => void child.stdin.write(`${line}\n`)
  const request = (method: string, params?: unknown): Promise<Answer> => {
    const id = ++lastId
    const answer = new Promise<Answer>((resolve, reject) => waiting.set(id, { resolve, reject }))
    write(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
    return answer
  }
  return {
    process: child,
    others,
    stderr: () => errors,
    write,
    request,
    ended,
    async call(name, given = {}) {
      const { result, error } = await request('tools/call', { name, arguments: given })
      if (!result) throw new Error(`${name} was answered with ${JSON.stringify(error)}`)
      return result.content![0]!.text
    },
    async initialize() {
      const answer = await request('initialize', {
        protocolVersion: '2025-06-18',
        capabilities: {},
        clientInfo: { name: 'raw', version: '1' },
      })
      write(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }))
      return answer
    },
  }
}
