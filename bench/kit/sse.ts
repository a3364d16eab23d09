// Reads server-sent events from the chunks of a response, looking at each byte once.

export type SseEvent = { readonly event: string; readonly data: string }

/**
 * Takes chunks and hands over each whole event that carries data (WHATWG server-sent events, except that a lone CR ends no line).
 * Comments, ids and retry times are read past.
 */
export class SseReader {
  readonly #onEvent: (event: SseEvent) => void
  #partial: Buffer[] = []
  #event = 'message'
  #data: string[] = []

  constructor(onEvent: (event: SseEvent) => void) {
    this.#onEvent = onEvent
  }

  push(chunk: Buffer): void {
    let from = 0
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
      const piece = chunk.subarray(from, at)
      from = at + 1
      const line = this.#partial.length === 0 ? piece : Buffer.concat([...this.#partial, piece])
      this.#partial = []
      this.#line(line.at(-1) === 0x0d ? line.toString('utf8', 0, line.length - 1) : line.toString('utf8'))
    }
    if (from < chunk.length) this.#partial.push(chunk.subarray(from))
  }

  #line(line: string): void {
    if (line === '') return this.#dispatch()
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1)
    if (field === 'data') this.#data.push(value)
    else if (field === 'event') this.#event = value
  }

  #dispatch(): void {
    const [event, data] = [this.#event, this.#data]
    this.#event = 'message'
    this.#data = []
    // An empty `data` is how servers prime a resumable stream: no message in it.
    if (data.length > 1 || (data.length === 1 && data[0] !== '')) this.#onEvent({ event, data: data.join('\n') })
  }
}
