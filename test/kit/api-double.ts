// An API like GitHub's, on this machine: it counts each request, takes its time, sends ETags that differ by token, and limits. Its count is what tests believe.
import { createHash } from 'node:crypto'
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

type Seen = {
  readonly method: string
  readonly url: string
  readonly token: string
  readonly status: number
  readonly condition: string | undefined
}

export interface ApiDouble {
  readonly url: string
  /** Every request that arrived, in order. */
  readonly seen: Seen[]
  /** How long an answer takes. */
  delayMs: number
  /** More headers of each answer. */
  headers: Record<string, string>
  /** Answers in place of the API, for the next requests. */
  instead: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined
  /** What a repository says of itself changes with it. */
  version: number
  /** The same at a UNIX socket. */
  listenAt(path: string): Promise<void>
  /** The same over TLS, at an address of this machine; its origin. */
  listenSecurely(host: string, certificate: { readonly chain: string; readonly key: string }): Promise<string>
  close(): Promise<void>
}

const run = (id: number, version: number) => ({
  id,
  name: 'CI',
  display_title: `build ${version}`,
  head_branch: 'main',
  head_sha: 'a'.repeat(40),
  run_number: id,
  event: 'push',
  status: 'completed',
  conclusion: 'success',
  workflow_id: 7,
  created_at: '2026-11-01T10:00:00Z',
  updated_at: '2026-11-01T10:05:00Z',
  run_started_at: '2026-11-01T10:00:00Z',
  jobs_url: 'https://api.github.com/jobs',
  html_url: 'https://github.com/o/r/actions/runs/1',
  repository: { name: 'r', owner: { login: 'o' } },
  head_commit: { message: 'build' },
  head_repository: { name: 'r', owner: { login: 'o' } },
})

function answerOf(path: string, body: string, version: number): unknown {
  if (path.endsWith('/graphql'))
    return body.includes('mutation')
      ? { data: { done: true } }
      : {
          data: {
            viewer: { login: 'octo' },
            repository: {
              id: 'R_1',
              name: 'r',
              nameWithOwner: 'o/r',
              owner: { id: 'U_1', login: 'o' },
              description: `a repository, version ${version}`,
              url: 'https://github.com/o/r',
              hasIssuesEnabled: true,
              hasWikiEnabled: true,
              viewerPermission: 'READ',
              defaultBranchRef: { name: 'main' },
            },
          },
        }
  if (path.endsWith('/actions/runs')) return { total_count: 2, workflow_runs: [run(2, version), run(1, version)] }
  if (/\/actions\/workflows(\/7)?$/.test(path))
    return {
      total_count: 1,
      workflows: [{ id: 7, name: 'CI', path: 'ci.yml', state: 'active' }],
      id: 7,
      name: 'CI',
      path: 'ci.yml',
      state: 'active',
    }
  if (path.endsWith('/readme'))
    return { name: 'README.md', content: Buffer.from('# r\n').toString('base64'), encoding: 'base64', html_url: 'https://github.com/o/r' }
  return { path, version, name: path.split('/').at(-1) }
}

/** Listens on a free port of this machine until the test ends; `undo` for a process of its own, which is no test. */
export async function apiDouble(undo?: (clean: () => unknown) => void): Promise<ApiDouble> {
  const later = undo ?? (await import('./cleanup.ts')).later
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    void (async () => {
      let body = ''
      for await (const chunk of request) body += String(chunk)
      const token = request.headers.authorization ?? ''
      response.once('finish', () =>
        double.seen.push({
          method: request.method!,
          url: request.url!,
          token,
          status: response.statusCode,
          condition: request.headers['if-none-match'],
        }),
      )
      if (double.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, double.delayMs))
      if (double.instead?.(request, response)) return
      const text = JSON.stringify(answerOf(request.url!.split('?')[0]!, body, double.version))
      const etag = `W/"${createHash('sha256').update(token).update(text).digest('hex')}"`
      const headers = { 'content-type': 'application/json; charset=utf-8', etag, ...double.headers }
      if (request.method === 'GET' && request.headers['if-none-match'] === etag) return response.writeHead(304, headers).end()
      if (request.method !== 'GET' && (!request.url!.endsWith('graphql') || body.includes('mutation'))) double.version++
      response.writeHead(200, { ...headers, vary: 'Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, X-Requested-With' })
      response.end(text)
    })().catch(() => response.destroy())
  }
  const listen = async (server: Server, at: { port: number; host: string } | { path: string }): Promise<number> => {
    later(() => shut(server))
    await new Promise<void>((resolve) => server.listen(at, resolve))
    return (server.address() as AddressInfo).port
  }
  const server = createServer(handle)
  const double: ApiDouble = {
    url: `http://127.0.0.1:${await listen(server, { port: 0, host: '127.0.0.1' })}`,
    seen: [],
    delayMs: 0,
    headers: {},
    instead: undefined,
    version: 1,
    listenAt: async (path) => void (await listen(createServer(handle), { path })),
    async listenSecurely(host, { chain, key }) {
      return `https://${host}:${await listen(createTlsServer({ cert: chain, key }, handle), { port: 0, host })}`
    },
    close: () => shut(server),
  }
  return double
}

function shut(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
