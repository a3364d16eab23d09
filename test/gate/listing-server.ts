// An MCP server on stdio, both eras, whose list of tools stands in a file that a test writes: `listing-server.ts LOG LIST`. It notes each message in LOG.
// LIST: JSON, pages of tools. Every tool answers its arguments; `announce` says before that the list has changed, `ask` wants input first (2026-07-28).
import { appendFileSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

type Message = {
  id?: string | number
  method?: string
  params?: {
    name?: string
    cursor?: string
    arguments?: Record<string, unknown>
    requestState?: string
    inputResponses?: unknown
    _meta?: Record<string, unknown>
  }
}

const [log = '', list = ''] = process.argv.slice(2)
const protocolVersion = 'io.modelcontextprotocol/protocolVersion'
let listening: string | number | undefined

function say(message: object): void {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
}

function listed(cursor: string | undefined): object {
  const pages = JSON.parse(readFileSync(list, 'utf8')) as unknown[][]
  const at = Number(cursor ?? 0)
  return { tools: pages[at], ...(at + 1 < pages.length ? { nextCursor: String(at + 1) } : {}) }
}

function announce(): void {
  const params = listening === undefined ? {} : { params: { _meta: { 'io.modelcontextprotocol/subscriptionId': listening } } }
  say({ method: 'notifications/tools/list_changed', ...params })
}

function resultOf({ id, method, params }: Message): object | undefined {
  const isModern = params?._meta?.[protocolVersion] !== undefined
  const more = isModern ? { resultType: 'complete' } : {}
  const capabilities = { tools: { listChanged: true } }
  const serverInfo = { name: 'listing', version: '1' }
  switch (method) {
    case 'initialize':
      return { protocolVersion: '2025-11-25', capabilities, serverInfo }
    case 'server/discover':
      return { ...more, supportedVersions: ['2026-07-28'], capabilities, ttlMs: 0, cacheScope: 'private' }
    case 'tools/list':
      return { ...more, ...listed(params?.cursor), ...(isModern ? { ttlMs: 0, cacheScope: 'public' } : {}) }
    case 'subscriptions/listen':
      listening = id
      say({
        method: 'notifications/subscriptions/acknowledged',
        params: { notifications: { toolsListChanged: true }, _meta: { 'io.modelcontextprotocol/subscriptionId': id } },
      })
      return undefined
    case 'tools/call':
      if (params?.name === 'announce') announce()
      if (params?.name === 'ask' && params.requestState === undefined)
        return {
          resultType: 'input_required',
          requestState: 'of the server',
          inputRequests: { roots: { method: 'roots/list', params: {} } },
        }
      return { ...more, content: [{ type: 'text', text: JSON.stringify(params?.arguments ?? {}) }] }
    default:
      return {}
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line) as Message
  appendFileSync(log, `${line}\n`)
  if (message.id === undefined || message.method === undefined) continue
  const result = resultOf(message)
  if (result) say({ id: message.id, result })
}
