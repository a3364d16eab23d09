// What both ends of a WebSocket's opening compute (RFC 6455 §1.3): that the server understood the question, and is no cache or something else that repeats it.
import { createHash } from 'node:crypto'

const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** The answer to a key. */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}${guid}`).digest('base64')
}
