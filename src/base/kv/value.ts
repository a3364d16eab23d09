// How a value is kept by any adapter: one line `1 <writer> <ttlMs or -> LF`, then the bytes as they came.
import { fault } from './faults.ts'

/** What a writer put under a key. */
export type Content = { readonly value: Uint8Array; readonly writer: string; readonly ttlMs?: number }

const maxValueBytes = 65_536
const writerPattern = /^[A-Za-z0-9_-]{1,64}$/
const headPattern = /^1 ([A-Za-z0-9_-]{1,64}) (-|[1-9][0-9]{0,15})$/
const maxHeadBytes = 84

/** A value with its writer and expiry as stored bytes; fault when it is over 64 KiB. */
export function encode(key: string, value: Uint8Array, writer: string, ttlMs: number | undefined): Uint8Array {
  if (value.length > maxValueBytes) throw fault.too_large({ key, sizeBytes: value.length, maxBytes: maxValueBytes })
  if (!writerPattern.test(writer)) throw fault.bad_writer({ writer })
  return Buffer.concat([Buffer.from(`1 ${writer} ${ttlMs === undefined ? '-' : Math.max(1, Math.ceil(ttlMs))}\n`), value])
}

/** What `encode` made, taken apart. */
export function decode({ key, bytes }: { readonly key: string; readonly bytes: Uint8Array }): Content {
  const end = bytes.subarray(0, maxHeadBytes).indexOf(0x0a)
  const head = headPattern.exec(Buffer.from(bytes.buffer, bytes.byteOffset, Math.max(end, 0)).toString('latin1'))
  if (!head) throw fault.foreign_value({ key })
  const content = { value: bytes.subarray(end + 1), writer: head[1]! }
  return head[2] === '-' ? content : { ...content, ttlMs: Number(head[2]) }
}
