// A circuit through a relay as libp2p sees a socket: what lies beneath an encrypted connection that ends at the peer, not at the relay.
import type { Duplex } from 'node:stream'
import type { Logger } from '@libp2p/interface'
import { AbstractMultiaddrConnection } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'

/** Bytes in one piece or several. */
type Bytes = Parameters<AbstractMultiaddrConnection['sendData']>[0]

export class CircuitConnection extends AbstractMultiaddrConnection {
  /** Named as in a TCP connection, so that what is spared there is spared here (savings.ts). */
  readonly socket: Duplex

  constructor(circuit: Duplex, remoteAddr: Multiaddr, direction: 'inbound' | 'outbound', log: Logger) {
    super({ remoteAddr, direction, log })
    this.socket = circuit
    circuit.on('data', (chunk: Buffer) => this.onData(chunk))
    circuit.on('drain', () => this.safeDispatchEvent('drain'))
    circuit.on('error', (error) => this.abort(error))
    circuit.once('end', () => this.#over())
    circuit.once('close', () => this.#over())
  }

  /** A circuit is not half open: who ended it reads no more. */
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
