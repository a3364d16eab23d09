// A wire over two byte streams, one frame a line (MCP's stdio transport): serves stdio, child processes and UNIX sockets.
import type { Readable, Writable } from 'node:stream'
import { Fault } from '../../kernel/fault.ts'
import { Share, freeBytes } from './budget.ts'
import type { Frame } from './frame.ts'
import { isTooMuch } from './bad-line.ts'
import { keptBytes } from './cut-line.ts'
import { noRoom, scan, tooLarge } from './scan.ts'
import { type ScanLimits, defaultLimits } from './walk.ts'
import type { Sink, Wire, WireEnd } from './wire.ts'

const lineFeed = Buffer.from('\n')
/** Up to here one write of a copy costs less than two of what is there. */
const copiedBytes = 16_384

function lineOf(bytes: Uint8Array): Buffer {
  const line = Buffer.allocUnsafe(bytes.length + 1)
  line.set(bytes)
  line[bytes.length] = 0x0a
  return line
}

export type LinesOptions = {
  readonly limits?: ScanLimits
  /**
   * A line that is no frame. `'end'` ends the wire as garbage; `'skip'` goes on with the next line; a frame is taken in its place. Absent: end.
   * Lines over the limit or the budget are read past without being kept but for their first and last bytes, and come here when they are over.
   */
  readonly onBadLine?: (problem: Fault) => 'end' | 'skip' | Frame
  /** Called when `close()` has let everything leave: ends what the streams do not end by themselves (a child, a socket). */
  readonly onClose?: () => Promise<void> | void
}

/** A writer that does not wait for `room()` is waited for no longer than for two of the largest messages: then the wire is cut. */
class LinesWire implements Wire {
  readonly ended: Promise<WireEnd>
  readonly #from: Readable
  readonly #to: Writable
  readonly #limits: ScanLimits
  readonly #options: LinesOptions
  #end!: (end: WireEnd) => void
  #over: WireEnd | undefined
  #partial: Buffer[] = []
  #partialBytes = 0
  readonly #share: Share
  /** The first and the newest bytes of a line that is read past, and what is said of it then. */
  #skipped: { readonly head: Buffer; tail: Buffer; readonly problem: (head: Buffer, tail: Buffer) => Fault } | undefined
  #into: Sink | undefined
  #backlog: Frame[] = []
  readonly #waiting = new Set<() => void>()
  #isBlocked = false
  #isGathering = false
  #sawEof = false

  constructor(from: Readable, to: Writable, options: LinesOptions) {
    this.#from = from
    this.#to = to
    this.#limits = options.limits ?? defaultLimits
    this.#options = options
    this.#share = new Share(this.#limits.budget)
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    to.on('error', (error: Error) => this.#finish({ why: 'cut', problem: error.message }))
    from.on('error', (error: Error) => this.#finish({ why: 'cut', problem: error.message }))
  }

  write(frame: Frame): boolean {
    if (this.#over || this.#to.destroyed || this.#to.writableEnded) return true
    this.#gather()
    const hasRoom = frame.bytes.length <= copiedBytes ? this.#to.write(lineOf(frame.bytes)) : this.#writeLong(frame.bytes)
    if (this.#to.writableLength > 2 * this.#limits.maxFrameBytes) {
      this.#finish({ why: 'cut', problem: 'the other side reads too slowly' })
      this.#to.destroy()
    }
    return hasRoom
  }

  /** What is written in one turn leaves in one call of the system: many answers at once cost hardly more than one. */
  #gather(): void {
    if (this.#isGathering) return
    this.#isGathering = true
    this.#to.cork()
    process.nextTick(() => {
      this.#isGathering = false
      this.#to.uncork()
    })
  }

  /** What waits for the other side to read it counts, too. */
  #writeLong(bytes: Uint8Array): boolean {
    const { budget } = this.#limits
    if (budget && bytes.length > freeBytes) {
      budget.hold(bytes.length)
      this.#to.write(bytes, () => budget.give(bytes.length))
    } else this.#to.write(bytes)
    return this.#to.write(lineFeed)
  }

  room(): Promise<void> {
    if (this.#over || !this.#to.writableNeedDrain) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        this.#to.off('drain', done)
        this.#to.off('close', done)
        this.#waiting.delete(done)
        resolve()
      }
      this.#to.on('drain', done)
      this.#to.on('close', done)
      this.#waiting.add(done) // not `ended.then`: that would keep every wait for as long as the wire lives
    })
  }

  read(into: Sink): void {
    this.#into = into
    this.#from.on('data', (chunk: Buffer) => {
      try {
        this.#take(chunk)
      } catch (error) {
        // Whoever reads cannot: this wire is over, and nothing else.
        this.#finish({ why: 'cut', problem: String(error) })
        this.#from.pause()
      }
    })
    this.#from.resume() // whoever handed the stream over may have paused it
    this.#from.on('end', () => {
      if (this.#skipped) this.#skippedLine(Buffer.alloc(0))
      else if (this.#partialBytes > 0) this.#line(Buffer.concat(this.#partial))
      this.#letGo()
      this.#sawEof = true
      if (!this.#isBlocked) this.#finish({ why: 'eof' })
    })
    this.#from.on('close', () => {
      if (!this.#isBlocked) this.#finish({ why: 'eof' })
    })
  }

  async close(): Promise<void> {
    this.#finish({ why: 'closed' })
    await new Promise<void>((resolve) => {
      if (this.#to.destroyed || this.#to.writableFinished) return resolve()
      this.#to.once('close', resolve)
      this.#to.end(resolve)
    })
    await this.#options.onClose?.()
  }

  #take(chunk: Buffer): void {
    let from = 0
    for (let at = chunk.indexOf(0x0a); at >= 0 && !this.#over; at = chunk.indexOf(0x0a, from)) {
      const piece = chunk.subarray(from, at)
      from = at + 1
      if (this.#skipped) this.#skippedLine(piece)
      else if (this.#partialBytes > 0) this.#line(Buffer.concat([...this.#partial, piece]))
      else this.#line(piece)
      this.#letGo()
    }
    if (from >= chunk.length || this.#over) return
    const rest = chunk.subarray(from)
    if (this.#skipped) return this.#skip(rest)
    this.#partial.push(rest)
    this.#partialBytes += rest.length
    const { maxFrameBytes, budget } = this.#limits
    if (this.#partialBytes > maxFrameBytes) this.#beginSkipping((head, tail) => tooLarge(head, tail, maxFrameBytes))
    else if (!this.#share.grow(this.#partialBytes)) this.#beginSkipping((head, tail) => noRoom(head, tail, budget!.maxBytes))
  }

  #letGo(): void {
    this.#partial = []
    this.#partialBytes = 0
    this.#share.giveAll()
  }

  #beginSkipping(problem: (head: Buffer, tail: Buffer) => Fault): void {
    const line = Buffer.concat(this.#partial)
    this.#letGo()
    if (!this.#options.onBadLine) return this.#bad(problem(line, line))
    this.#skipped = { head: Buffer.from(line.subarray(0, keptBytes)), tail: Buffer.alloc(0), problem }
    this.#skip(line)
  }

  #skip(piece: Buffer): void {
    const skipped = this.#skipped!
    const tail = piece.length >= keptBytes ? piece : Buffer.concat([skipped.tail, piece])
    skipped.tail = Buffer.from(tail.subarray(-keptBytes)) // a copy: the rest is let go
  }

  #skippedLine(last: Buffer): void {
    this.#skip(last)
    const { head, tail, problem } = this.#skipped!
    this.#skipped = undefined
    this.#bad(problem(head, tail))
  }

  #line(line: Buffer): void {
    if (line.length === 0 || (line.length === 1 && line[0] === 0x0d)) return
    let frame: Frame
    try {
      frame = scan(line, this.#limits)
    } catch (error) {
      if (error instanceof Fault) return this.#bad(error)
      throw error
    }
    this.#deliver(frame)
  }

  #deliver(frame: Frame): void {
    if (this.#isBlocked) return void this.#backlog.push(frame) // the rest of one chunk: bounded by the stream's own buffer
    if (this.#into!.write(frame)) return
    this.#isBlocked = true
    this.#from.pause()
    this.#resume().catch((error: unknown) => this.#finish({ why: 'cut', problem: String(error) }))
  }

  async #resume(): Promise<void> {
    await this.#into!.room()
    for (let frame = this.#backlog.shift(); frame; frame = this.#backlog.shift()) {
      if (!this.#into!.write(frame)) await this.#into!.room()
    }
    this.#isBlocked = false
    if (this.#sawEof || this.#from.destroyed) this.#finish({ why: 'eof' })
    else this.#from.resume()
  }

  #bad(problem: Fault): void {
    const instead = this.#options.onBadLine?.(problem) ?? 'end'
    if (instead === 'skip') return
    if (instead !== 'end') return this.#deliver(instead)
    this.#finish({ why: isTooMuch(problem) ? 'tooLarge' : 'garbage', problem: problem.message })
    this.#from.pause()
  }

  #finish(end: WireEnd): void {
    if (this.#over) return
    this.#over = end
    this.#letGo()
    this.#end(end)
    for (const done of this.#waiting) done()
  }
}

/** A wire that reads lines from one stream and writes them to another. */
export function linesWire(from: Readable, to: Writable, options: LinesOptions = {}): Wire {
  return new LinesWire(from, to, options)
}
