// A small answer of our own over HTTP: one JSON object that nobody may cache.
import type { ServerResponse } from 'node:http'

/** Ends the response with `value` as JSON. */
export function answerJson(response: ServerResponse, status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers })
  response.end(`${JSON.stringify(value)}\n`)
}
