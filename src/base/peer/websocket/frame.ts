// Frames of WebSocket (RFC 6455 §5), as far as a stream of bytes needs them: binary ones and their continuations, ping, pong and close. No extension is ever agreed on,
// so that nothing is decompressed; a payload is handed on as it arrives, so that no frame is held, whatever length it claims.

export const opcodes = { continuation: 0, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** Why a connection is ended (§7.4.1). */
export const closeCodes = { normal: 1000, protocol: 1002, unsupported: 1003, tooBig: 1009 } as const

/** Peers write 64 KiB at once, and others some MiB: who claims more than this is none of them. */
const maxPayloadBytes = 16 << 20
const maxControlBytes = 125
const maxHeadBytes = 14

/** A frame that must not be. */
export class FrameError extends Error {
  readonly closeCode: number

  constructor(problem: string, closeCode: number = closeCodes.protocol) {
    super(`not a WebSocket of ours: ${problem}`)
    this.closeCode = closeCode
  }
}

/** The head of one whole frame; with a key the payload that follows must be masked with it. */
export function frameHead(opcode: number, sizeBytes: number, key?: Uint8Array): Buffer {
  const lengthBytes = sizeBytes < 126 ? 0 : sizeBytes < 1 << 16 ? 2 : 8
  const head = Buffer.alloc(2 + lengthBytes + (key ? 4 : 0))
  head[0] = 0x80 | opcode
  head[1] = (key ? 0x80 : 0) | (lengthBytes === 0 ? sizeBytes : lengthBytes === 2 ? 126 : 127)
  if (lengthBytes === 2) head.writeUInt16BE(sizeBytes, 2)
  else if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(sizeBytes), 2)
  if (key) head.set(key, 2 + lengthBytes)
  return head
}

/** XORs the bytes in place with the key (§5.3); `at` is where in the payload they begin. */
export function mask(bytes: Uint8Array, key: Uint8Array, at: number): void {
  const turned = (from: number): Uint8Array => Uint8Array.from({ length: 4 }, (_, i) => key[(at + from + i) & 3]!)
  const begin = turned(0)
  const before = bytes.length < 64 ? bytes.length : -bytes.byteOffset & 3 // whole words stand at every fourth byte of memory
  for (let i = 0; i < before; i++) bytes[i] = bytes[i]! ^ begin[i & 3]!
  if (before === bytes.length) return
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + before, (bytes.length - before) >> 2)
  const word = new Int32Array(turned(before).buffer)[0]!
  for (let i = 0; i < words.length; i++) words[i] = words[i]! ^ word
  for (let i = before + words.length * 4; i < bytes.length; i++) bytes[i] = bytes[i]! ^ begin[i & 3]!
}

export type FrameTaker = {
  /** A piece of a message, its mask taken off. */
  data(bytes: Buffer): void
  control(opcode: number, payload: Buffer): void
}

type Frame = { readonly opcode: number; readonly sizeBytes: number; readonly key: Uint8Array | undefined; done: number }

/** Reads what one side sends. Its chunks are unmasked in place: they must belong to nobody else. */
export class FrameReader {
  readonly #isFromClient: boolean
  readonly #take: FrameTaker
  readonly #head = Buffer.alloc(maxHeadBytes)
  #headBytes = 0
  #frame: Frame | undefined
  #control: Buffer[] = []
  #isInMessage = false

  constructor(from: 'client' | 'server', take: FrameTaker) {
    this.#isFromClient = from === 'client'
    this.#take = take
  }

  /** Throws a `FrameError`; then nothing more may be read. */
  read(chunk: Buffer): void {
    for (let rest = chunk; rest.length > 0;) rest = this.#frame ? this.#readPayload(this.#frame, rest) : this.#readHead(rest)
  }

  #readHead(bytes: Buffer): Buffer {
    const missing = headSize(this.#head, this.#headBytes) - this.#headBytes
    const taken = bytes.copy(this.#head, this.#headBytes, 0, missing)
    this.#headBytes += taken
    if (this.#headBytes >= headSize(this.#head, this.#headBytes)) {
      const frame = this.#parse(this.#head.subarray(0, this.#headBytes))
      this.#headBytes = 0
      if (frame.sizeBytes === 0) this.#over(frame)
      else this.#frame = frame
    }
    return bytes.subarray(taken)
  }

  #parse(head: Buffer): Frame {
    const [first, second] = [head[0]!, head[1]!]
    const isLast = (first & 0x80) !== 0
    const opcode = first & 0x0f
    const isControl = opcode >= 8
    const sizeBytes = payloadSize(head)
    if ((first & 0x70) !== 0) throw new FrameError('a bit is set that no extension gave a meaning')
    if (((second & 0x80) !== 0) !== this.#isFromClient)
      throw new FrameError(this.#isFromClient ? 'a frame without a mask' : 'a masked frame')
    if (opcode === 1) throw new FrameError('a message of text', closeCodes.unsupported)
    if (!Object.values<number>(opcodes).includes(opcode)) throw new FrameError(`the opcode ${opcode}`)
    if (isControl && (!isLast || sizeBytes > maxControlBytes)) throw new FrameError('a control frame that is too long, or in pieces')
    if (sizeBytes > maxPayloadBytes) throw new FrameError(`a frame of more than ${maxPayloadBytes} bytes`, closeCodes.tooBig)
    if (!isControl) {
      if ((opcode === opcodes.continuation) !== this.#isInMessage) throw new FrameError('a piece out of order')
      this.#isInMessage = !isLast
    }
    return { opcode, sizeBytes, key: this.#isFromClient ? Buffer.from(head.subarray(-4)) : undefined, done: 0 }
  }

  #readPayload(frame: Frame, bytes: Buffer): Buffer {
    const piece = bytes.subarray(0, frame.sizeBytes - frame.done)
    if (frame.key) mask(piece, frame.key, frame.done)
    frame.done += piece.length
    if (frame.opcode >= 8) this.#control.push(piece)
    else this.#take.data(piece)
    if (frame.done === frame.sizeBytes) this.#over(frame)
    return bytes.subarray(piece.length)
  }

  #over({ opcode }: Frame): void {
    this.#frame = undefined
    if (opcode < 8) return
    const payload = Buffer.concat(this.#control)
    this.#control = []
    this.#take.control(opcode, payload)
  }
}

/** How long the head is, as far as its first bytes tell. */
function headSize(head: Buffer, known: number): number {
  if (known < 2) return 2
  const length = head[1]! & 0x7f
  return 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + (head[1]! & 0x80 ? 4 : 0)
}

function payloadSize(head: Buffer): number {
  const short = head[1]! & 0x7f
  if (short < 126) return short
  const sizeBytes = short === 126 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2))
  if (sizeBytes < (short === 126 ? 126 : 1 << 16)) throw new FrameError('a length that could be said in fewer bytes')
  return sizeBytes
}
