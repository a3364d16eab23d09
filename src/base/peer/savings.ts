// Takes out of libp2p 3.3 what every message would pay for: each a change to a part of it as it is at run time, to be dropped when libp2p has learned it.
import type { Socket } from 'node:net'
import type { MessageStream, Stream } from '@libp2p/interface'

/** Bytes in one piece or several. */
type Bytes = Parameters<MessageStream['send']>[0]

/** libp2p writes each length, header and tag by itself, one system call each: what is written in one tick leaves in one. */
export function writeOnceATick(connection: MessageStream): void {
  const { socket } = connection as { socket?: Socket } // a relayed connection has none
  if (!socket) return
  const sender = connection as unknown as { sendData(data: Bytes): unknown }
  const sendData = sender.sendData.bind(connection)
  const uncork = (): void => socket.uncork()
  sender.sendData = (data) => {
    if (socket.writableCorked === 0) {
      socket.cork()
      process.nextTick(uncork)
    }
    return sendData(data)
  }
}

type Received = {
  readonly decoder: { lengthDecoder(data: Bytes): number }
  readonly handshake: { decrypt(chunk: Bytes): Bytes }
  decrypt(chunk: Bytes): Bytes
}

/** The length of a Noise message has two bytes: none is longer than this. */
const longerThanAny = 1 << 16

/** libp2p learns by an exception that no further length has arrived (10 µs a message), and copies each message before it decrypts it elsewhere. */
export function readPlainly(encrypted: MessageStream): void {
  const received = encrypted as unknown as Received
  const { decoder, handshake } = received
  const { lengthDecoder } = decoder
  decoder.lengthDecoder = (data) => (data.byteLength < 2 ? longerThanAny : lengthDecoder(data))
  received.decrypt = (chunk) => handshake.decrypt(chunk)
}

type Windowed = Stream & {
  recvWindow: number
  readonly recvWindowCapacity: number
  readonly maxStreamWindowSize: number
  readonly state: number
  sendWindowUpdate(): void
}

/** Yamux's `StreamState.Established`: no SYN or ACK is owed to the other side any more, and the reader has not paused. */
const established = 3

/** Yamux tells the writer of new room after every message, in a packet of its own: told at half, and of twice as much each time, the writer need not wait. */
export function updateWindowAtHalf(stream: Stream): void {
  const windowed = stream as Windowed
  const update = windowed.sendWindowUpdate.bind(stream)
  windowed.sendWindowUpdate = () => {
    if (windowed.state === established) {
      if (windowed.recvWindowCapacity > windowed.recvWindow / 2) return
      windowed.recvWindow = Math.min(windowed.recvWindow * 2, windowed.maxStreamWindowSize)
    }
    update()
  }
}
