// A client's side of one connection, as a script drives it: whole frames out, and every frame that came back, as it came.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { plainEnvironment } from './bed.ts'
import { type Reply, enveloped, modern, send } from '../kit/raw-client.ts'

export type Era = 'legacy' | 'modern'
type Params = Readonly<Record<string, unknown>>
type Head = { readonly id?: string | number; readonly method?: string }

/** What the client answers to what a server asks, by method. */
export type Answers = Readonly<Record<string, unknown>>

export interface Conversation {
  readonly era: Era
  /** Every frame that came, in order. */
  readonly seen: readonly string[]
  /** Over HTTP: the status of every answer. */
  readonly statuses: readonly number[]
  /** Asks, and waits for the answer. */
  ask(id: number, method: string, params: Params): Promise<void>
  tell(method: string, params?: Params): Promise<void>
  /** Waits until `count` frames of this method came in all. */
  saw(method: string, count: number): Promise<void>
  /** Stops listening (modern), and ends. */
  close(): Promise<void>
}

const waitMs = 15_000

/** What came, and who waits for more. */
class Seen {
  readonly frames: string[] = []
  readonly #waiting = new Set<() => void>()

  take(frame: string): void {
    this.frames.push(frame)
    for (const wake of this.#waiting) wake()
  }

  async until(what: string, isThere: () => boolean): Promise<void> {
    if (isThere()) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(
      () => reject(new Error(`waited ${waitMs} ms for ${what}; so far: ${this.frames.slice(-5).join('\n')}`)),
      waitMs,
    )
    const wake = (): void => {
      if (isThere()) resolve()
    }
    this.#waiting.add(wake)
    await promise.finally(() => {
      clearTimeout(timer)
      this.#waiting.delete(wake)
    })
  }

  saw(method: string, count: number): Promise<void> {
    return this.until(
      `${count} × ${method}`,
      () => this.frames.filter((frame) => (JSON.parse(frame) as Head).method === method).length >= count,
    )
  }
}

const headOf = (frame: string): Head => JSON.parse(frame) as Head
/** What a step says itself in `_meta`, beside the envelope. */
const metaOf = ({ _meta }: Params): { readonly meta?: Params } => (_meta === undefined ? {} : { meta: _meta as Params })
const message = (era: Era, id: number | undefined, method: string, params: Params): string =>
  era === 'modern'
    ? JSON.stringify(enveloped(id, method, params, metaOf(params)))
    : JSON.stringify({ jsonrpc: '2.0', ...(id === undefined ? {} : { id }), method, params })

/** The answer to what a server asked; its id is repeated as it came. */
const answerTo = ({ id, method }: Head, answers: Answers): string => JSON.stringify({ jsonrpc: '2.0', id, result: answers[method!] })

/** Node's own readline also cuts at U+2028, which JSON may hold. */
function onLine(from: Readable, take: (line: string) => void): void {
  let rest = ''
  from.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    for (const line of lines) take(line)
  })
}

/** A server that is a command. Lines that are no JSON are noise, which clients leave out. */
export function overStdio(
  argv: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
  era: Era,
  answers: Answers,
): Conversation {
  const child = spawn(argv[0], argv.slice(1), { env: { ...plainEnvironment, ...env }, stdio: ['pipe', 'pipe', 'ignore'] })
  const seen = new Seen()
  const write = (line: string): void => void child.stdin.write(`${line}\n`)
  onLine(child.stdout, (line) => {
    if (!line.startsWith('{')) return
    seen.take(line)
    const head = headOf(line)
    if (head.method !== undefined && head.id !== undefined) write(answerTo(head, answers))
  })
  const ended = once(child, 'close')
  let listening: number | undefined
  return {
    era,
    seen: seen.frames,
    statuses: [],
    async ask(id, method, params) {
      write(message(era, id, method, params))
      if (method === 'subscriptions/listen') {
        listening = id
        return seen.saw('notifications/subscriptions/acknowledged', 1)
      }
      await seen.until(`the answer to ${method}`, () =>
        seen.frames.some((frame) => headOf(frame).id === id && headOf(frame).method === undefined),
      )
    },
    async tell(method, params = {}) {
      write(message(era, undefined, method, params))
    },
    saw: (method, count) => seen.saw(method, count),
    async close() {
      if (listening !== undefined)
        write(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: listening } }))
      child.stdin.end()
      await ended
    },
  }
}

/** A server, or the gate, over HTTP. */
export function overHttp(url: string, era: Era, answers: Answers): Conversation {
  const seen = new Seen()
  const statuses: number[] = []
  const open = new Set<Reply>()
  let session: Readonly<Record<string, string>> = {}
  const post = (body: string): Promise<Reply> => send(url, { body, headers: session })
  const take = async (frame: string): Promise<void> => {
    seen.take(frame)
    const head = headOf(frame)
    if (head.method === undefined || head.id === undefined) return
    const reply = await post(answerTo(head, answers))
    await reply.text()
  }
  const read = async (reply: Reply): Promise<void> => {
    open.add(reply)
    if (reply.isStream) for (let next = await reply.next(); next; next = await reply.next()) void take(next.raw)
    else {
      const text = await reply.text()
      if (text !== '') await take(text)
    }
    open.delete(reply)
  }
  /** Only a stream may stay silent for as long as it likes. */
  const listen = (reply: Reply): void => void read(reply).catch(() => {})
  return {
    era,
    seen: seen.frames,
    statuses,
    async ask(id, method, params) {
      const reply = era === 'modern' ? await modern(url, id, method, params, metaOf(params)) : await post(message(era, id, method, params))
      statuses.push(reply.status)
      if (method === 'subscriptions/listen') {
        listen(reply)
        return seen.saw('notifications/subscriptions/acknowledged', 1)
      }
      await read(reply)
      if (method !== 'initialize') return
      const { protocolVersion } = (JSON.parse(seen.frames.at(-1)!) as { result: { protocolVersion: string } }).result
      const sessionId = reply.headers['mcp-session-id']
      session = { 'mcp-protocol-version': protocolVersion, ...(typeof sessionId === 'string' ? { 'mcp-session-id': sessionId } : {}) }
      const stream = await send(url, { method: 'GET', headers: { ...session, accept: 'text/event-stream' } })
      if (stream.status === 200) listen(stream)
    },
    async tell(method, params = {}) {
      const reply = await post(message(era, undefined, method, params))
      statuses.push(reply.status)
      await reply.text()
    },
    saw: (method, count) => seen.saw(method, count),
    async close() {
      for (const reply of open) reply.cut()
      if ('mcp-session-id' in session) await (await send(url, { method: 'DELETE', headers: session })).text()
    },
  }
}
