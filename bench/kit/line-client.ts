// A bare MCP client over the stdin and stdout of a command, one call at a time, to time what lies between it and the server.
import type { Household } from './children.ts'
import { type EchoAnswer, verify } from './loop.ts'

const answerLimitMs = 60_000

export type LineClient = {
  /** Time from the start of the command to the first answer to `tools/list`. */
  readonly openMs: number
  /** Resolves with the time it took when the right answer is here. */
  readonly call: (text: string, sizeBytes: number) => Promise<number>
  readonly close: () => Promise<void>
}

/** Starts `argv`, initializes, and lists the tools, as any client does. */
export async function openLineClient(
  household: Household,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<LineClient> {
  const from = performance.now()
  const started = household.talk(argv, env)
  let partial: Buffer[] = []
  let take: ((line: string) => void) | undefined
  let fail: ((reason: Error) => void) | undefined
  started.stdout.on('data', (chunk: Buffer) => {
    let at = 0
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, at)) {
      const line = Buffer.concat([...partial, chunk.subarray(at, end)]).toString('utf8')
      partial = []
      at = end + 1
      take?.(line)
    }
    if (at < chunk.length) partial.push(chunk.subarray(at))
  })
  started.stdout.on('end', () => fail?.(new Error(`${argv.slice(0, 3).join(' ')} ended before it answered`)))

  let lastId = 0
  const request = (method: string, params: object): Promise<EchoAnswer> =>
    new Promise((resolve, reject) => {
      const id = ++lastId
      const timer = setTimeout(() => reject(new Error(`no answer to ${method} within ${answerLimitMs} ms`)), answerLimitMs)
      fail = (reason) => {
        clearTimeout(timer)
        reject(reason)
      }
      take = (line) => {
        const answer = JSON.parse(line) as EchoAnswer
        if (answer.id !== id) return
        clearTimeout(timer)
        resolve(answer)
      }
      started.say(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
    })

  try {
    await request('initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'fairlead-bench', version: '1.0.0' },
    })
    started.say('{"jsonrpc":"2.0","method":"notifications/initialized"}')
    const listed = await request('tools/list', {})
    if (!listed.result) throw new Error(`no tools: ${JSON.stringify(listed).slice(0, 200)}`)
  } catch (error) {
    await started.stop()
    throw error
  }
  return {
    openMs: performance.now() - from,
    call: async (text, sizeBytes) => {
      const sentAt = performance.now()
      const answer = await request('tools/call', { name: 'echo', arguments: { text, size: sizeBytes } })
      const tookMs = performance.now() - sentAt
      verify(answer, text.trimEnd(), sizeBytes)
      return tookMs
    },
    close: () => {
      started.stdin.end()
      return started.stop()
    },
  }
}
