// Serves a daemon's own API on two sockets in its runtime folder: `observe.sock` for what tells something, `change.sock` for everything.
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { asFault, faults, outside } from '../../kernel/fault.ts'
import { makeFolder, removeFile } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { answerJson } from '../http/answer.ts'
import { listenUnix } from '../wire/unix.ts'
import { type Offers, changesPath, listPath, noOffers, streamOffers } from './offers.ts'
import { type About, type Api, type Handlers, socketNames } from './api.ts'

const fault = faults('control', {
  unknown_operation: (d: { path: string }) => ({
    kind: 'missing',
    message: `there is no operation at ${d.path}`,
    hint: 'GET /v1/about names those that there are; those that change something are on change.sock only',
  }),
  bad_input: (d: { problem: string }) => ({ kind: 'usage', message: `the input is not what the operation takes: ${d.problem}` }),
})

const maxInputBytes = 1 << 20
const maxConnections = 64
const graceMs = 500

export type ControlNeeds<A extends Api> = {
  readonly api: A
  readonly handlers: Handlers<A>
  readonly clock: Clock
  readonly log: Log
  /** Told and streamed on both sockets; absent: it offers nothing. */
  readonly offers?: Offers
}

/**
 * Listens in `folder`, which is made (0700) when it is not there; each socket is for its owner alone (0600). Disposing of it removes the sockets.
 * Faults: `socket.busy`, `socket.cannot_listen`.
 */
export async function openControl<A extends Api>(
  needs: ControlNeeds<A>,
  { daemon, folder }: { readonly daemon: string; readonly folder: string },
): Promise<AsyncDisposable> {
  makeFolder(folder)
  await using stack = new AsyncDisposableStack()
  for (const privilege of ['observe', 'change'] as const) {
    const offered = new Map(
      Object.entries(needs.api).filter(([, operation]) => privilege === 'change' || operation.privilege === privilege),
    )
    const about: About = { daemon, pid: process.pid, operations: [...offered.keys()] }
    const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
      request.on('error', () => {})
      response.on('error', () => {})
      if (request.method === 'GET' && request.url === changesPath) return streamOffers(needs.clock, needs.offers ?? noOffers, response)
      void answer(needs, about, request).then(
        (value) => answerJson(response, 200, value),
        (error: unknown) => refuse(needs.log, daemon, response, error),
      )
    })
    server.maxConnections = maxConnections
    const path = join(folder, socketNames[privilege])
    await listenUnix(server, path)
    stack.defer(() => shut(server, needs.clock, path))
  }
  return stack.move()
}

async function answer<A extends Api>(
  { api, handlers, offers = noOffers }: ControlNeeds<A>,
  about: About,
  request: IncomingMessage,
): Promise<unknown> {
  const { method, url = '' } = request
  if (method === 'GET' && url === '/v1/about') return about
  if (method === 'GET' && url === listPath) return { offers: offers.list() }
  const name = /^\/v1\/([a-z][a-z-]*)$/.exec(url)?.[1]
  if (method !== 'POST' || name === undefined || !about.operations.includes(name)) throw fault.unknown_operation({ path: url })
  const { input } = api[name]!
  const given = input.safeParse(parsed(await bodyOf(request)))
  if (!given.success) throw fault.bad_input({ problem: given.error.issues[0]?.message ?? 'unreadable' })
  return handlers[name]!(given.data as never)
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let sizeBytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    sizeBytes += part.length
    if (sizeBytes > maxInputBytes) throw fault.bad_input({ problem: `more than ${maxInputBytes} bytes` })
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw fault.bad_input({ problem: 'no JSON' })
  }
}

function refuse(log: Log, daemon: string, response: ServerResponse, error: unknown): void {
  const known = asFault(error)
  if (known.kind === 'bug') log.error('control.defect', { daemon, error })
  if (!response.destroyed) answerJson(response, outside[known.kind].httpStatus, { error: known })
}

function shut(server: Server, clock: Clock, path: string): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(graceMs, () => server.closeAllConnections())
    server.close(() => {
      cancel()
      removeFile(path)
      resolve()
    })
    server.closeIdleConnections()
  })
}
