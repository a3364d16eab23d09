// Calls of daemons through the gate, typed as their clients on a command line are.
import type { Signed, ShownDaemon } from '../gate/dashboard/client.ts'
import { Failure } from './failure.ts'

type Options = { readonly signal?: AbortSignal; readonly onItem?: (item: never) => unknown }

/** The operations of the daemon with that id; `Calls` is the type that its client gives them. */
export function callsOf<Calls extends object>(id: string): Calls {
  const call =
    (operation: string) =>
    async (input: unknown, options: Options = {}): Promise<unknown> => {
      const response = await send('POST', `/api/${id}/${operation}`, input, options.signal)
      if (response.headers.get('content-type') === 'application/x-ndjson') return streamed(response, options)
      return answered(response)
    }
  return new Proxy({} as Calls, { get: (_, operation) => call(String(operation)) })
}

export async function signIn(code: string): Promise<Signed> {
  return (await answered(await send('POST', '/api/session', { code }))) as Signed
}

/** With a bearer token of somebody who may use the dashboard. */
export async function signInWith(token: string): Promise<Signed> {
  const headers = { 'content-type': 'application/json', 'x-fairlead': 'dashboard', authorization: `Bearer ${token}` }
  return (await answered(await fetch('/api/session', { method: 'POST', headers, body: '{}' }))) as Signed
}

export async function signOut(): Promise<void> {
  await answered(await send('POST', '/api/session/end', {}))
}

export async function signed(): Promise<Signed> {
  return (await answered(await send('GET', '/api/session'))) as Signed
}

export async function listDaemons(): Promise<readonly ShownDaemon[]> {
  return (await answered(await send('GET', '/api/daemons'))) as readonly ShownDaemon[]
}

async function send(method: string, path: string, input?: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(path, {
    method,
    headers: { 'content-type': 'application/json', 'x-fairlead': 'dashboard' }, // a page elsewhere cannot send the second
    ...(input === undefined ? {} : { body: JSON.stringify(input) }),
    ...(signal ? { signal } : {}),
  })
}

async function answered(response: Response): Promise<unknown> {
  const value: unknown = await response.json().catch(() => undefined)
  if (response.ok && value !== undefined) return value
  throw failureIn(value) ?? new Failure({ message: `the gate answers HTTP ${response.status}` })
}

/** Reads `{"item":…}` lines as they come, and then `{"result":…}` or `{"error":…}`. */
async function streamed(response: Response, { onItem }: Options): Promise<unknown> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let held = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) throw new Failure({ message: 'the connection broke before the end', hint: 'what was asked for may have been done: look' })
    const lines = (held + value).split('\n')
    held = lines.pop()!
    for (const line of lines.filter((text) => text !== '')) {
      const told = JSON.parse(line) as { readonly item?: unknown; readonly result?: unknown }
      if ('result' in told) return told.result
      if (!('item' in told)) throw failureIn(told) ?? new Failure({})
      await onItem?.(told.item as never)
    }
  }
}

function failureIn(value: unknown): Failure | undefined {
  const error = (value as { readonly error?: unknown } | null | undefined)?.error
  return typeof error === 'object' && error !== null ? new Failure(error) : undefined
}
