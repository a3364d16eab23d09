// Takes out of libp2p 3.3 what every message would pay for: of its parts as they are at run time, one by one, so that each can be dropped when libp2p has learned it.
import type { Socket } from 'node:net'
import type { MessageStream, Stream } from '@libp2p/interface'

type Bytes = { readonly byteLength: number }

/** libp2p writes each length, header and tag by itself, one system call each: what is written in one tick leaves in one. */
export function writeOnceATick(connection: MessageStream): void {
  const { socket } = connection as { socket?: Socket } // a relayed connection has none
  const parts = connection as unknown as { sendData(data: Bytes): unknown }
  if (!socket) return
  const sendData = parts.sendData.bind(connection)
  const uncork = (): void => socket.uncork()
  parts.sendData = (data) => {
    if (socket.writableCorked === 0) {
      socket.cork()
      process.nextTick(uncork)
    }
    return sendData(data)
  }
}

const longerThanAny = 1 << 20

/** After all that has arrived is read, libp2p looks for the next length and learns by an exception that it is not there: 10 µs a message. */
export function lookBeforeReading(encrypted: MessageStream): void {
  const { decoder } = encrypted as unknown as { decoder: { lengthDecoder(data: Bytes): number } }
  const { lengthDecoder } = decoder
  decoder.lengthDecoder = (data) => (data.byteLength < 2 ? longerThanAny : lengthDecoder(data)) // of that length nothing is there yet
}

type Windowed = Stream & {
  recvWindow: number
  readonly recvWindowCapacity: number
  readonly maxStreamWindowSize: number
  readonly state: number
  sendWindowUpdate(): void
}

/** Yamux's `StreamState.Established`: later than any that still owes the other side a SYN or an ACK. */
const established = 3

/** Yamux tells the writer of new room after every message, which is a packet of its own: told at half, and twice as much each time, the writer never waits. */
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
