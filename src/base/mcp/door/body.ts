// Bodies of requests: each bounded, and all that are not answered yet bounded together, so that many clients cannot fill the memory with what each one may send.
import type { IncomingMessage } from 'node:http'

/** A body that was read whole. `release` when its exchange is over. */
export type Body = { readonly bytes: Buffer; release(): void }

/** Of all requests of the process that were not answered yet; 256 MiB by default. */
const defaultMaxAllBytes = 256 << 20

export class Bodies {
  readonly #maxAllBytes: number
  #allBytes = 0

  constructor(maxAllBytes = defaultMaxAllBytes) {
    this.#maxAllBytes = maxAllBytes
  }

  /** The whole body; `tooLarge` when it is over `maxBytes`, `noRoom` when all together are over their bound: then the rest stays unread. Rejects when the client goes away. */
  read(request: IncomingMessage, maxBytes: number): Promise<Body | 'tooLarge' | 'noRoom'> {
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) return Promise.resolve('tooLarge')
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      let sizeBytes = 0
      const release = (): void => {
        this.#allBytes -= sizeBytes
        sizeBytes = 0
      }
      const refuse = (why: 'tooLarge' | 'noRoom'): void => {
        request.pause()
        request.removeAllListeners('data')
        release()
        resolve(why)
      }
      request.on('data', (chunk: Buffer) => {
        sizeBytes += chunk.length
        this.#allBytes += chunk.length
        if (sizeBytes > maxBytes) return refuse('tooLarge')
        if (this.#allBytes > this.#maxAllBytes) return refuse('noRoom')
        chunks.push(chunk)
      })
      let isWhole = false
      request.on('end', () => {
        isWhole = true
        resolve({ bytes: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks), release })
      })
      const fail = (error: Error): void => {
        release()
        reject(error)
      }
      request.on('error', (error) => isWhole || fail(error))
      request.on('close', () => isWhole || fail(new Error('the client went away'))) // every request closes: an error costs more than its body
    })
  }
}
