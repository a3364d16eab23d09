// Small requests and answers on a peer stream: each a four byte big-endian length and that many bytes of JSON (UTF-8).
import type { Duplex } from 'node:stream'
import { faults } from '../kernel/fault.ts'

const headSizeBytes = 4

export const fault = faults('frames', {
  too_large: (d: { sizeBytes: number; maxBytes: number }) => ({
    kind: 'limited',
    message: `a message of ${d.sizeBytes} bytes, the limit is ${d.maxBytes}`,
  }),
  not_json: () => ({ kind: 'usage', message: 'a message that is not JSON' }),
  cut: () => ({ kind: 'unavailable', message: 'the stream ended inside a message' }),
})

/** The values that arrive, until the stream ends. Faults: `frames.too_large` before the body is read, `frames.not_json`, `frames.cut`. */
export async function* readJson(stream: Duplex, maxBytes: number): AsyncGenerator {
  let held: Buffer[] = []
  let heldBytes = 0
  let wanted: number | undefined
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    held.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    heldBytes += chunk.length
    for (;;) {
      const needs = wanted ?? headSizeBytes
      if (heldBytes < needs) break
      const whole = held.length === 1 ? held[0]! : Buffer.concat(held)
      const rest = whole.subarray(needs)
      held = rest.length > 0 ? [rest] : []
      heldBytes = rest.length
      if (wanted === undefined) {
        wanted = whole.readUInt32BE()
        if (wanted > maxBytes) throw fault.too_large({ sizeBytes: wanted, maxBytes })
      } else {
        wanted = undefined
        yield parse(whole.subarray(0, needs))
      }
    }
  }
  if (heldBytes > 0 || wanted !== undefined) throw fault.cut({})
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as unknown
  } catch (error) {
    throw fault.not_json({}, error)
  }
}

/**
 * The first value that arrives; what comes after it stays in the stream. Faults as those of `readJson`, with `frames.cut` for a stream that ends before.
 */
export async function readFirstJson(stream: Duplex, maxBytes: number): Promise<unknown> {
  const sizeBytes = (await readBytes(stream, headSizeBytes)).readUInt32BE()
  if (sizeBytes > maxBytes) throw fault.too_large({ sizeBytes, maxBytes })
  return parse(sizeBytes === 0 ? Buffer.alloc(0) : await readBytes(stream, sizeBytes))
}

async function readBytes(stream: Duplex, sizeBytes: number): Promise<Buffer> {
  for (;;) {
    const bytes = stream.read(sizeBytes) as Buffer | null
    if (bytes?.length === sizeBytes) return bytes
    if (bytes || stream.readableEnded || stream.destroyed) throw fault.cut({})
    await new Promise<void>((resolve) => {
      const done = (): void => {
        for (const event of ['readable', 'end', 'close']) stream.off(event, done)
        resolve()
      }
      for (const event of ['readable', 'end', 'close']) stream.on(event, done)
    })
  }
}

/** The bytes of one value. */
export function jsonFrame(value: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(value))
  const head = Buffer.alloc(headSizeBytes)
  head.writeUInt32BE(body.length)
  return Buffer.concat([head, body])
}

/** Writes one value and waits until the stream can take the next. */
export function writeJson(stream: Duplex, value: unknown): Promise<void> {
  return writeBytes(stream, jsonFrame(value))
}

/** Writes and waits until the stream can take more, or is over. */
export async function writeBytes(stream: Duplex, bytes: Uint8Array): Promise<void> {
  if (stream.destroyed || stream.write(bytes)) return
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stream.off('drain', done)
      stream.off('close', done)
      resolve()
    }
    stream.on('drain', done)
    stream.on('close', done)
  })
}
