// One HTTP/1.1 connection that sends a request at a time: node:http's client costs more than a good gateway and would hide it.
import { type Socket, connect } from 'node:net'

export type ResponseHead = { readonly status: number; readonly headers: ReadonlyMap<string, string> }

export type Receiver = {
  readonly onHead?: (head: ResponseHead) => void
  readonly onBody?: (chunk: Buffer) => void
  /** The whole response is here; the connection may be used again. */
  readonly onEnd: (head: ResponseHead) => void
  readonly onFail: (reason: Error) => void
}

type State = 'head' | 'length' | 'chunkSize' | 'chunk' | 'chunkEnd' | 'trailers' | 'untilClose'

const maxHeadBytes = 64 * 1024

/** Parses the bytes of one response after another; `begin` names who gets the next one. */
export class ResponseReader {
  #receiver: Receiver | undefined
  #state: State = 'head'
  #text = ''
  #remaining = 0
  #head: ResponseHead = { status: 0, headers: new Map() }

  begin(receiver: Receiver): void {
    this.#receiver = receiver
    this.#state = 'head'
    this.#text = ''
  }

  get isIdle(): boolean {
    return this.#receiver === undefined
  }

  /** Whether the server announced that it ends the connection after this response. */
  get isLast(): boolean {
    return this.#head.headers.get('connection')?.toLowerCase() === 'close'
  }

  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (!this.#receiver) throw new Error('the server sent bytes that belong to no request')
      if (this.#state === 'length' || this.#state === 'chunk') at = this.#body(chunk, at)
      else if (this.#state === 'untilClose') {
        this.#receiver.onBody?.(chunk.subarray(at))
        return
      } else at = this.#line(chunk, at)
    }
  }

  /** The connection ended: completes a response that lasts until then, and answers whether that was proper. */
  close(): boolean {
    if (!this.#receiver) return true
    if (this.#state !== 'untilClose') return false
    this.#end()
    return true
  }

  fail(reason: Error): void {
    const receiver = this.#receiver
    this.#receiver = undefined
    receiver?.onFail(reason)
  }

  #body(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#remaining)
    this.#remaining -= end - at
    this.#receiver!.onBody?.(chunk.subarray(at, end))
    if (this.#remaining === 0) {
      if (this.#state === 'length') this.#end()
      else this.#state = 'chunkEnd'
    }
    return end
  }

  #line(chunk: Buffer, at: number): number {
    const lineFeed = chunk.indexOf(0x0a, at)
    this.#text += chunk.toString('latin1', at, lineFeed < 0 ? chunk.length : lineFeed + 1)
    if (this.#text.length > maxHeadBytes) throw new Error('the head of a response is too long')
    if (lineFeed < 0) return chunk.length
    if (this.#state === 'head') {
      if (this.#text === '\r\n') this.#text = ''
      else if (this.#text.endsWith('\r\n\r\n')) this.#headDone()
    } else if (this.#state === 'chunkSize') {
      this.#remaining = Number.parseInt(this.#text, 16)
      if (!Number.isSafeInteger(this.#remaining)) throw new Error(`no chunk size: ${this.#text}`)
      this.#text = ''
      this.#state = this.#remaining === 0 ? 'trailers' : 'chunk'
    } else if (this.#state === 'chunkEnd') {
      this.#text = ''
      this.#state = 'chunkSize'
    } else {
      const isEmpty = this.#text === '\r\n'
      this.#text = ''
      if (isEmpty) this.#end()
    }
    return lineFeed + 1
  }

  #headDone(): void {
    const lines = this.#text.slice(0, -4).split('\r\n')
    this.#text = ''
    const status = Number.parseInt(lines[0]!.slice(9, 12), 10)
    if (status >= 100 && status < 200) return
    const headers = new Map<string, string>()
    for (const line of lines.slice(1)) {
      const colon = line.indexOf(':')
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
    }
    this.#head = { status, headers }
    this.#receiver!.onHead?.(this.#head)
    if (status === 204 || status === 304) return this.#end()
    const length = headers.get('content-length')
    if (headers.get('transfer-encoding')?.toLowerCase().endsWith('chunked')) this.#state = 'chunkSize'
    else if (length === undefined) this.#state = 'untilClose'
    else {
      this.#remaining = Number(length)
      this.#state = 'length'
      if (this.#remaining === 0) this.#end()
    }
  }

  #end(): void {
    const receiver = this.#receiver!
    this.#receiver = undefined
    receiver.onEnd(this.#head)
  }
}

/** After this rest a connection is opened anew, since servers end idle ones (Node after 5 s). */
const maxRestMs = 2_000

/** A keep-alive connection to one origin; `send` only when the response before has ended. */
export class Connection {
  readonly #host: string
  readonly #port: number
  #socket: Socket | undefined
  #reader = new ResponseReader()
  #usedAt = 0

  constructor(url: URL) {
    this.#host = url.hostname
    this.#port = Number(url.port)
  }

  /** `request` is the whole request, head and body. */
  send(request: string, receiver: Receiver): void {
    if (this.#socket && performance.now() - this.#usedAt > maxRestMs) this.close()
    this.#socket ??= this.#open()
    this.#reader.begin({
      ...receiver,
      onEnd: (head) => {
        this.#usedAt = performance.now()
        if (this.#reader.isLast) this.close()
        receiver.onEnd(head)
      },
    })
    this.#usedAt = performance.now()
    this.#socket.write(request)
  }

  close(): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.destroy()
  }

  #open(): Socket {
    const reader = new ResponseReader()
    this.#reader = reader
    const socket = connect(this.#port, this.#host)
    socket.setNoDelay(true)
    const over = (error?: Error): void => {
      if (this.#socket === socket) this.#socket = undefined
      if (!reader.close()) reader.fail(error ?? new Error('the server ended the connection'))
    }
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk)
      } catch (error) {
        socket.destroy()
        over(error as Error)
      }
    })
    socket.on('error', over)
    socket.on('close', () => over())
    return socket
  }
}
