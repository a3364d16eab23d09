// Takes out of libp2p 3.3 what every message would pay for: each a change to a part of it as it is at run time, to be dropped when libp2p has learned it.
//
// Between a stream and its socket stand three layers (Yamux, Noise, TCP or a circuit). Each keeps what passes in a list, copies the list, and tells the next one by
// an event. While nothing waits in a layer, bytes go straight through it here; as soon as something does, or is unusual, libp2p's own way is taken.
import { createCipheriv } from 'node:crypto'
import type { Writable } from 'node:stream'
import type { MessageStream, Stream, StreamMuxer } from '@libp2p/interface'

/** Bytes in one piece, or in several that can be gone through; what libp2p's own way is given is always the former, or its own list. */
type Bytes = Uint8Array | Iterable<Uint8Array>

/** What all three layers are inside. */
type Layer = Omit<MessageStream, 'send'> & {
  readonly readStatus: string
  readonly writeStatus: string
  readonly remoteWriteStatus: string
  readonly readBuffer: { readonly byteLength: number }
  readonly sendingData: boolean
  writableNeedsDrain: boolean
  send(data: Bytes): boolean
  sendData(data: Uint8Array): unknown
  onData(data: Uint8Array): void
  listenerCount(type: string): number
}

const piecesOf = (bytes: Bytes): readonly Uint8Array[] => (bytes instanceof Uint8Array ? [bytes] : [...bytes])
const whole = (bytes: Bytes): Uint8Array => (bytes instanceof Uint8Array ? bytes : Buffer.concat([...bytes]))
const sizeOf = (pieces: readonly Uint8Array[]): number => pieces.reduce((sum, { length }) => sum + length, 0)
const inside = (layer: MessageStream): Layer => layer as unknown as Layer

/** Lets what is sent go by `straight` while what is sent now would leave now; false from it means that the layer below is full. */
function sendStraight(layer: Layer, straight: (pieces: readonly Uint8Array[]) => boolean | undefined): void {
  const send = layer.send.bind(layer)
  layer.send = (data) => {
    const isIdle = layer.writeStatus === 'writable' && !layer.writableNeedsDrain && !layer.sendingData && layer.writeBufferLength === 0
    const hasRoom = isIdle ? straight(piecesOf(data)) : undefined
    if (hasRoom === undefined) return send(whole(data))
    if (!hasRoom) layer.writableNeedsDrain = true
    return hasRoom
  }
}

/** Lets what arrives go straight to the one who listens. To be called before anyone does. */
function deliverStraight(layer: Layer): void {
  const { addEventListener, removeEventListener } = layer
  const onData = layer.onData.bind(layer)
  const listeners = new Set<unknown>()
  layer.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    if (args[0] === 'message' && args[2] === undefined) listeners.add(args[1])
    addEventListener.apply(layer, args)
  }
  layer.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners.delete(args[1])
    removeEventListener.apply(layer, args)
  }
  layer.onData = (data) => {
    const isStraight =
      layer.readStatus === 'readable' && layer.readBuffer.byteLength === 0 && layer.remoteWriteStatus !== 'closed' && data.byteLength > 0
    if (!isStraight || listeners.size !== 1 || layer.listenerCount('message') !== 1) return onData(data)
    for (const listener of listeners) (listener as (event: { data: Uint8Array }) => void)({ data })
  }
}

/** A large frame leaves in pieces of this size, so that the other end decrypts one while the next is encrypted. */
const enoughBytes = 64 << 10

/** TCP, or the circuit in its place: what is written in one tick leaves in one system call. */
export function straightConnection(connection: MessageStream): void {
  const layer = inside(connection)
  const { socket } = connection as unknown as { readonly socket: Writable }
  const sendData = layer.sendData.bind(layer)
  const uncork = (): void => socket.uncork()
  const cork = (): void => {
    if (socket.writableCorked > 0) return
    socket.cork()
    process.nextTick(uncork)
  }
  deliverStraight(layer)
  layer.sendData = (data) => {
    cork()
    return sendData(data)
  }
  sendStraight(layer, (pieces) => {
    cork()
    for (const piece of pieces) socket.write(piece)
    if (socket.writableLength >= enoughBytes) socket.uncork()
    return !socket.writableNeedDrain
  })
}

/** From here on node:crypto is the faster one (it makes objects for each message); below it libp2p's own, which is WebAssembly. */
const nativeFromBytes = 1_200
const algorithm = 'chacha20-poly1305'
const tagBytes = 16
const tagOnly = { authTagLength: tagBytes } as const

type Crypto = {
  encrypt(plaintext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array): Bytes
}

/** Encrypts a large message piece by piece, where libp2p makes one of them first and one of the result. */
export function sealInPieces(encrypter: object): void {
  const { crypto } = encrypter as { crypto: Crypto }
  const encrypt = crypto.encrypt.bind(crypto)
  crypto.encrypt = (plaintext, nonce, ad, key) => {
    if (ad.length > 0 || !Array.isArray(plaintext)) return encrypt(plaintext, nonce, ad, key) // a message of the handshake, or one on libp2p's own way
    const pieces = plaintext as readonly Uint8Array[]
    if (sizeOf(pieces) < nativeFromBytes) return [encrypt(whole(pieces), nonce, ad, key) as Uint8Array]
    const cipher = createCipheriv(algorithm, key, nonce, tagOnly)
    const sealed = pieces.map((piece) => cipher.update(piece))
    cipher.final()
    return [...sealed, cipher.getAuthTag()]
  }
}

type Encrypted = Layer & {
  readonly decoder: {
    readonly buffer: { readonly byteLength: number }
    decode(data: Bytes): Iterable<Uint8Array>
    lengthDecoder(data: Uint8Array): number
  }
  readonly handshake: { encrypt(plaintext: Bytes): Bytes; decrypt(ciphertext: Bytes): Uint8Array }
  decrypt(chunk: Bytes): Uint8Array
}

/** The most that one Noise message holds: its length has two bytes, and its tag sixteen. */
const maxPlainBytes = 0xffff - tagBytes
/** Yamux, https://github.com/hashicorp/yamux/blob/master/spec.md: twelve bytes before each frame: version, type, flags, stream, length. */
const headerBytes = 12
/** The largest frame of Yamux that fits in one message of Noise. */
export const sliceBytes = maxPlainBytes - headerBytes

/** The length of a Noise message has two bytes: none is longer than this. */
const longerThanAny = 1 << 16

/** Noise: two bytes of length before each message. */
export function straightEncryption(encrypted: MessageStream, connection: MessageStream): void {
  const layer = encrypted as unknown as Encrypted
  const { decoder, handshake } = layer
  const below = inside(connection)
  deliverStraight(layer)
  sendStraight(layer, (pieces) => {
    if (sizeOf(pieces) > maxPlainBytes) return undefined
    const sealed = handshake.encrypt(pieces) as readonly Uint8Array[]
    const sizeBytes = sizeOf(sealed)
    return below.send([Uint8Array.of(sizeBytes >> 8, sizeBytes), ...sealed])
  })
  const { lengthDecoder } = decoder
  const decode = decoder.decode.bind(decoder)
  decoder.lengthDecoder = (data) => (data.byteLength < 2 ? longerThanAny : lengthDecoder(data)) // libp2p learns by an exception that no further length has arrived
  decoder.decode = (data) => {
    const isOne =
      decoder.buffer.byteLength === 0 && data instanceof Uint8Array && data.length > 2 && data.length - 2 === ((data[0]! << 8) | data[1]!)
    return isOne ? [data.subarray(2)] : decode(data)
  }
  layer.decrypt = (chunk) => handshake.decrypt(chunk)
}

type Header = { readonly type: number; readonly flag: number; readonly streamID: number; readonly length: number }

type Muxer = {
  sendFrame(header: Header, data?: Bytes): boolean
  send(data: Bytes): boolean
}

const dataType = 0

/** Yamux: no text is made for a log that nobody keeps. */
export function straightMuxer(muxer: StreamMuxer): void {
  const layer = muxer as unknown as Muxer
  layer.sendFrame = (header, data) => {
    const head = Buffer.allocUnsafe(headerBytes)
    head[0] = 0
    head[1] = header.type
    head.writeUInt16BE(header.flag, 2)
    head.writeUInt32BE(header.streamID, 4)
    head.writeUInt32BE(header.length, 8)
    return layer.send(data ? [head, ...piecesOf(data)] : [head])
  }
}

type YamuxStream = Layer & {
  readonly streamId: number
  recvWindow: number
  readonly recvWindowCapacity: number
  sendWindowCapacity: number
  readonly maxStreamWindowSize: number
  readonly state: number
  sendWindowUpdate(): void
  sendFrame(header: Header, data: Bytes): boolean
}

/** Yamux's `StreamState.Established`: no SYN or ACK is owed to the other side any more, and the reader has not paused. */
const established = 3

/** One stream: what fits in the other side's window is a frame of its own. */
export function straightStream(stream: Stream): void {
  const layer = stream as unknown as YamuxStream
  deliverStraight(layer)
  sendStraight(layer, (pieces) => {
    const length = sizeOf(pieces)
    if (layer.state !== established || length > layer.sendWindowCapacity) return undefined
    layer.sendWindowCapacity -= length
    return layer.sendFrame({ type: dataType, flag: 0, streamID: layer.streamId, length }, pieces)
  })
  updateWindowAtHalf(layer)
}

/** Yamux tells the writer of new room after every message, in a packet of its own: told at half, and of twice as much each time, the writer need not wait. */
function updateWindowAtHalf(stream: YamuxStream): void {
  const update = stream.sendWindowUpdate.bind(stream)
  stream.sendWindowUpdate = () => {
    if (stream.state === established) {
      if (stream.recvWindowCapacity > stream.recvWindow / 2) return
      stream.recvWindow = Math.min(stream.recvWindow * 2, stream.maxStreamWindowSize)
    }
    update()
  }
}
