// A stream of bytes as libp2p sees a socket: what lies beneath an encrypted connection that does not go over TCP itself, but over a circuit or a WebSocket.
import type { Duplex } from 'node:stream'
import type { Logger } from '@libp2p/interface'
import { AbstractMultiaddrConnection } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'

/** Bytes in one piece or several. */
type Bytes = Parameters<AbstractMultiaddrConnection['sendData']>[0]

export class DuplexConnection extends AbstractMultiaddrConnection {
  /** Named as in a TCP connection, so that what is spared there is spared here (savings.ts). */
  readonly socket: Duplex

  constructor(bytes: Duplex, remoteAddr: Multiaddr, direction: 'inbound' | 'outbound', log: Logger) {
    super({ remoteAddr, direction, log })
    this.socket = bytes
    bytes.on('data', (chunk: Buffer) => this.onData(chunk))
    bytes.on('drain', () => this.safeDispatchEvent('drain'))
    bytes.on('error', (error) => this.abort(error))
    bytes.once('end', () => this.#over())
    bytes.once('close', () => this.#over())
  }

  /** Neither is half open: who ended it reads no more. */
  #over(): void {
    this.socket.destroy()
    this.onTransportClosed()
  }

  sendData(data: Bytes): { sentBytes: number; canSendMore: boolean } {
    let sentBytes = 0
    let canSendMore = true
    for (const piece of data) {
      sentBytes += piece.byteLength
      canSendMore = this.socket.write(piece)
      if (!canSendMore) break
    }
    return { sentBytes, canSendMore }
  }

  sendClose(): Promise<void> {
    return new Promise((resolve) => {
      if (this.socket.destroyed) return resolve()
      this.socket.once('close', () => resolve())
      this.socket.end(() => this.socket.destroy())
    })
  }

  sendReset(): void {
    this.socket.destroy()
  }

  sendPause(): void {
    this.socket.pause()
  }

  sendResume(): void {
    this.socket.resume()
  }
}
