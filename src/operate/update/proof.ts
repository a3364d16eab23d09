// The proof that a release is well: its services stay up, /health answers with its version, and a real MCP client has a tool called.
import { createHttpClient } from '../../base/http/client.ts'
import { openProbe } from '../../base/mcp/probe.ts'
import { type Clock, deadline } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Secret } from '../../kernel/secret.ts'

const maxAnswerBytes = 64 << 10
const answerWithinMs = 5_000

export type ProofNeeds = { readonly clock: Clock }
/** Where the server answers, and with which token it lets us in. */
export type ProofSettings = { readonly url: string; readonly token?: Secret | undefined }

/** What is wrong with the release that should answer there, or undefined when it proved to be well. */
export async function problemOf({ clock }: ProofNeeds, { url, token }: ProofSettings, version: string): Promise<string | undefined> {
  const signal = deadline(clock, answerWithinMs)
  try {
    const found = await healthAt(new URL('/health', url), signal)
    if (found.status !== 200) return `/health answers ${found.status}: ${found.text.slice(0, 300)}`
    const { version: told } = JSON.parse(found.text) as { version?: unknown }
    if (told !== version) return `/health is of version ${String(told)}`
    await using probe = await openProbe(clock, { name: url, url: String(new URL('/mcp', url)), token: token?.reveal() }, signal)
    await probe.call('system_get_basic_info')
    return undefined
  } catch (error) {
    return asFault(error).message
  }
}

async function healthAt(url: URL, signal: AbortSignal): Promise<{ readonly status: number; readonly text: string }> {
  const client = createHttpClient()
  try {
    const response = await client.send({ method: 'GET', url, headers: {}, signal })
    const parts: Buffer[] = []
    let sizeBytes = 0
    for await (const part of response as AsyncIterable<Buffer>) {
      if ((sizeBytes += part.length) > maxAnswerBytes) throw new Error(`/health answers more than ${maxAnswerBytes} bytes`)
      parts.push(part)
    }
    return { status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }
  } finally {
    client.close()
  }
}
