// Keeps the last lines of what a child says on stderr, in bounded memory however much and however long its lines are.
import { StringDecoder } from 'node:string_decoder'
import { stripVTControlCharacters } from 'node:util'

const maxLines = 64
const maxLength = 8 << 10
const maxLineLength = 2 << 10
// oxlint-disable-next-line no-control-regex -- they are what is taken out: a terminal must not obey a child's words
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/** The newest 64 lines, together at most 8 Ki characters; a line is cut at 2 Ki, terminal control sequences are left out. */
export class LastWords {
  readonly #decoder = new StringDecoder('utf8')
  readonly #onLine: (line: string) => void
  #lines: string[] = []
  #length = 0
  #partial = ''
  #isSkipping = false

  /** `onLine` gets every finished line. */
  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
  }

  take(chunk: Buffer): void {
    const text = this.#decoder.write(chunk)
    let from = 0
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
      this.#piece(text.slice(from, at))
      this.#finish()
      from = at + 1
    }
    this.#piece(text.slice(from))
  }

  /** No more is coming: what stands without a line feed is a line too. */
  end(): void {
    this.#piece(this.#decoder.end())
    if (this.#partial !== '') this.#finish()
  }

  text(): string {
    return [...this.#lines, ...(this.#partial === '' ? [] : [clean(this.#partial)])].join('\n')
  }

  #piece(text: string): void {
    if (this.#isSkipping) return
    const room = maxLineLength - this.#partial.length
    this.#isSkipping = text.length > room
    this.#partial += this.#isSkipping ? `${text.slice(0, room)}…` : text
  }

  #finish(): void {
    const line = clean(this.#partial)
    this.#partial = ''
    this.#isSkipping = false
    this.#lines.push(line)
    this.#length += line.length + 1
    while (this.#lines.length > maxLines || this.#length > maxLength) this.#length -= this.#lines.shift()!.length + 1
    this.#onLine(line)
  }
}

function clean(line: string): string {
  return stripVTControlCharacters(line).replaceAll(controls, '')
}
