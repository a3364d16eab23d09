// The gate with its limit raised to 64 MiB: messages of 40 MiB both ways, as one body and as an event; what is larger gets 413, or an error in its place.
import { resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningGate, startGate } from '../kit/gate.ts'
import { type RawSession, openSession } from '../kit/raw-client.ts'

const MiB = 1 << 20
const echo = [process.execPath, resolve(import.meta.dirname, '../kit/echo-server.ts')]
let gate: RunningGate
let session: RawSession
beforeAll(async () => {
  gate = await startGate({ upstreams: { echo: { command: echo } }, settings: 'max_frame_bytes = "64MiB"\n' })
  session = await openSession(gate.url('echo'))
})
afterAll(() => gate?.stop())

type Body = { readonly result?: { readonly content: readonly { readonly text: string }[] }; readonly error?: { readonly message: string } }

/** The answer, read as a whole: as one body, or as the last event of a stream. */
async function call(name: string, given: unknown, _meta?: unknown): Promise<{ status: number; type: string | null; answer: Body }> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: given, _meta } })
  const headers = { ...session.headers, 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  const response = await fetch(gate.url('echo'), { method: 'POST', headers, body })
  const text = await response.text()
  const type = response.headers.get('content-type')
  const json = type === 'text/event-stream' ? text.slice(text.lastIndexOf('data: ') + 6) : text
  return { status: response.status, type, answer: JSON.parse(json) as Body }
}

test.each([
  ['one body', undefined, 'application/json'],
  ['an event', { progressToken: 1 }, 'text/event-stream'],
])('40 MiB there and back, as %s', { timeout: 60_000 }, async (_, meta, type) => {
  const large = await call('large', { sizeBytes: 40 * MiB }, meta)
  expect(large).toMatchObject({ status: 200, type })
  expect(large.answer.result!.content[0]!.text.length).toBe(40 * MiB)
  const text = 'y'.repeat(40 * MiB)
  expect((await call('echo', { text }, meta)).answer.result!.content[0]!.text === text).toBe(true)
})

test('beyond it: 413 at the edge, an error in the place of an answer, and the session lives on', { timeout: 60_000 }, async () => {
  const sent = await call('echo', { text: 'x'.repeat(65 * MiB) }).catch(() => undefined) // it may be cut while it still sends
  if (sent) expect(sent).toMatchObject({ status: 413, answer: { error: { message: `the body is larger than ${64 * MiB} bytes` } } })
  const answer = await call('large', { sizeBytes: 65 * MiB })
  expect(answer).toMatchObject({ status: 200, answer: { error: { message: `the answer is larger than ${64 * MiB} bytes` } } })
  expect((await call('echo', { text: 'alive' })).answer.result!.content[0]!.text).toBe('alive')
})
