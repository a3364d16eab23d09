// A wire to a server of the HTTP+SSE transport (2024-11-05): its messages come on one event stream, ours are posted to the address that it names first.
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../../kernel/clock.ts'
import { reasonOf } from '../../../kernel/fault.ts'
import type { HttpClient } from '../../http/client.ts'
import { type Frame } from '../../wire/frame.ts'
import { scan } from '../../wire/scan.ts'
import type { WireLimits } from '../../wire/walk.ts'
import type { Sink, Wire, WireEnd } from '../../wire/wire.ts'
import { type SseEvent, SseReader } from '../door/sse.ts'
import { errorFrame, idToken } from '../message.ts'
import { code } from '../protocol.ts'
import { fault } from './wire.ts'

export type SseWireOptions = {
  readonly client: HttpClient
  readonly clock: Clock
  /** Of the event stream. */
  readonly url: URL
  /** Of the server, for people. */
  readonly name: string
  /** Ours, with every request: a token. They go nowhere but to the url's own origin. */
  readonly headers: Readonly<Record<string, string>>
  readonly limits: WireLimits
}

/** From the head of the stream to the event that says where to post. */
const endpointMs = 10_000
/** Messages that wait for the ones before them to be taken. */
const maxWaiting = 64
/** Field names and line breaks around a message. */
const fieldBytes = 1_024

class SseWire implements Wire {
  readonly ended: Promise<WireEnd>
  readonly #options: SseWireOptions
  readonly #stop = new AbortController()
  readonly #endpoint = Promise.withResolvers<URL>()
  readonly #early: Frame[] = []
  #end!: (end: WireEnd) => void
  #isOver = false
  #into: Sink | undefined
  #response: IncomingMessage | undefined
  /** Messages leave in order, each when the one before it was taken. */
  #posting: Promise<void> = Promise.resolve()
  #waiting = 0
  #emptied = Promise.withResolvers<void>()

  constructor(options: SseWireOptions) {
    this.#options = options
    this.#endpoint.promise.catch(() => {})
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  /** Fault `upstream.gone` when there is no such stream, or it does not say where to post. */
  async open(): Promise<void> {
    const { client, clock, url, name, headers } = this.#options
    const late = clock.after(endpointMs, () => this.#finish({ why: 'cut', problem: 'it named no address to post to' }))
    try {
      const accept = { ...headers, accept: 'text/event-stream' }
      const response = await client.send({ method: 'GET', url, headers: accept, signal: this.#stop.signal })
      if (response.statusCode !== 200 || !(response.headers['content-type'] ?? '').startsWith('text/event-stream')) {
        response.resume()
        throw new Error(`it answered HTTP ${response.statusCode} and no event stream`)
      }
      this.#listen(response)
      await this.#endpoint.promise
    } catch (error) {
      this.#finish({ why: 'cut', problem: reasonOf(error) })
      throw fault.gone({ upstream: name, reason: reasonOf(error) }, error)
    } finally {
      late()
    }
  }

  write(frame: Frame): boolean {
    if (this.#isOver) return true
    this.#waiting++
    this.#posting = this.#posting.then(async () => {
      await this.#post(frame)
      if (--this.#waiting >= maxWaiting) return
      this.#emptied.resolve()
      this.#emptied = Promise.withResolvers()
    })
    return this.#waiting < maxWaiting
  }

  async room(): Promise<void> {
    while (!this.#isOver && this.#waiting >= maxWaiting) await this.#emptied.promise
  }

  read(into: Sink): void {
    this.#into = into
    for (const frame of this.#early.splice(0)) into.write(frame)
    this.#response?.resume()
  }

  async close(): Promise<void> {
    this.#finish({ why: 'closed' })
  }

  #listen(response: IncomingMessage): void {
    this.#response = response
    const { limits } = this.#options
    const reader = new SseReader(limits.maxFrameBytes + fieldBytes, (event) => this.#take(event))
    response.on('data', (chunk: Buffer) => {
      try {
        if (!reader.take(chunk)) this.#finish({ why: 'tooLarge', problem: `a message of more than ${limits.maxFrameBytes} bytes` })
      } catch (error) {
        this.#finish({ why: 'garbage', problem: reasonOf(error) })
      }
    })
    response.on('close', () => this.#finish({ why: 'eof' }))
    response.on('error', (error: Error) => this.#finish({ why: 'cut', problem: error.message }))
  }

  #take({ event, data }: SseEvent): void {
    if (this.#isOver) return
    if (event === 'endpoint') return this.#address(data.toString('utf8'))
    if (event !== 'message' || data.length === 0) return
    const frame = scan(data, this.#options.limits)
    if (!this.#into) {
      this.#early.push(frame)
      this.#response!.pause() // until somebody reads
    } else if (!this.#into.write(frame)) {
      this.#response!.pause()
      void this.#into.room().then(() => this.#response!.resume())
    }
  }

  /** Nothing of ours is sent to another origin, whatever the stream says. */
  #address(text: string): void {
    const { url } = this.#options
    const address = URL.canParse(text, url) ? new URL(text, url) : undefined
    if (address?.origin === url.origin) this.#endpoint.resolve(address)
    else this.#finish({ why: 'garbage', problem: 'the address to post to is at another origin' })
  }

  /** What the server did not take is answered by us, so that nobody waits for it. */
  async #post(frame: Frame): Promise<void> {
    if (this.#isOver) return
    const { client, headers } = this.#options
    let problem: string | undefined
    try {
      const url = await this.#endpoint.promise
      const all = { ...headers, 'content-type': 'application/json' }
      const response = await client.send({ method: 'POST', url, headers: all, body: frame.bytes, signal: this.#stop.signal })
      response.resume()
      const status = response.statusCode ?? 0
      if (status < 200 || status > 299) problem = `the server answered HTTP ${status} to the message`
    } catch (error) {
      problem = `the message could not be sent: ${reasonOf(error)}`
    }
    if (problem !== undefined && frame.kind === 'request' && !this.#isOver)
      this.#into?.write(errorFrame(idToken(frame), code.serverError, problem))
  }

  #finish(end: WireEnd): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#endpoint.reject(new Error('problem' in end ? end.problem : `its stream ended (${end.why})`))
    this.#stop.abort()
    this.#response?.destroy()
    this.#emptied.resolve()
    this.#end(end)
  }
}

/** Opens one. Fault `upstream.gone`. */
export async function openSseWire(options: SseWireOptions): Promise<Wire> {
  const wire = new SseWire(options)
  await wire.open()
  return wire
}
