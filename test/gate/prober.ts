// A process that knows every credential that was ever in a file, and shows each of them to the gate every 10 ms: `prober.ts <port> <file>`. One line of JSON each time:
// when, and what was answered to each, the oldest first (200, 401, or 0 when nobody answered).
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'

const [port = '', file = ''] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true })
const tokens: string[] = []
const taken = new Set<string>()
const lastShown = 4

function textIn(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return '' // it is not there now
  }
}

/** A file that is renamed while we look is seen under one of its names. */
function look(): void {
  for (const path of [`${file}.next`, file, `${file}.old`]) {
    const token = textIn(path)
    if (token !== '' && !tokens.includes(token)) tokens.push(token)
  }
}

function show(token: string): Promise<number> {
  return new Promise((resolve) => {
    const asked = request(
      { host: '127.0.0.1', port, path: '/connectors', agent, timeout: 5_000, headers: { authorization: `Bearer ${token}` } },
      (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode!))
        response.on('error', () => resolve(0))
      },
    )
    asked.on('timeout', () => asked.destroy())
    asked.on('error', () => resolve(0))
    asked.end()
  })
}

/** The last ones, and whatever older one was taken when it was last shown: some that came after it were perhaps never told to the gate. */
function isShown(token: string, at: number): boolean {
  return at >= tokens.length - lastShown || taken.has(token)
}

for (;;) {
  const startedMs = performance.now()
  const answers: Record<string, number> = {}
  // Until there is none that came meanwhile: what ended while we asked has a successor that was there before.
  look()
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]!
    if (!isShown(token, at)) continue
    const status = await show(token)
    if (status === 200) taken.add(token)
    else if (status !== 0) taken.delete(token)
    answers[hash('sha256', token, 'hex').slice(0, 16)] = status
    look()
  }
  process.stdout.write(`${JSON.stringify({ at: Date.now(), answers })}\n`)
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, 10 - (performance.now() - startedMs))))
}
