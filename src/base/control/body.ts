// Reads a request to a daemon: the input, and for uploads the bytes after it, in bounded time and memory.
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../kernel/clock.ts'
import { silenceMs } from './api.ts'
import { fault } from './faults.ts'

const maxInputBytes = 1 << 20
const inputMs = 10_000

type Reading = { readonly request: IncomingMessage; readonly clock: Clock }

/** The whole body as JSON. Faults: `control.bad_input`, `control.request_cut`. */
export async function inputOf(reading: Reading): Promise<unknown> {
  const next = partsOf(reading)
  const parts: Buffer[] = []
  let sizeBytes = 0
  const untilMs = reading.clock.mono() + inputMs
  for (let part = await next(inputMs); part; part = await next(untilMs - reading.clock.mono())) {
    sizeBytes += part.length
    if (sizeBytes > maxInputBytes) throw tooLong()
    parts.push(part)
  }
  return parsed(Buffer.concat(parts))
}

/** The first line as JSON, and what follows it as it comes. Faults: `control.bad_input`, `control.request_cut`, that one also while the rest is read. */
export async function uploadOf(reading: Reading): Promise<{ readonly input: unknown; readonly upload: AsyncIterable<Uint8Array> }> {
  const next = partsOf(reading)
  let head: Buffer = Buffer.alloc(0)
  let end = -1
  const untilMs = reading.clock.mono() + inputMs
  while (end < 0) {
    const part = await next(untilMs - reading.clock.mono())
    if (!part) throw fault.bad_input({ problem: 'it has no first line' })
    head = Buffer.concat([head, part])
    end = head.indexOf(0x0a)
    if (end > maxInputBytes || (end < 0 && head.length > maxInputBytes)) throw tooLong()
  }
  const first = head.subarray(end + 1)
  async function* rest(): AsyncGenerator<Uint8Array> {
    if (first.length > 0) yield first
    for (let part = await next(silenceMs); part; part = await next(silenceMs)) yield part
  }
  return { input: parsed(head.subarray(0, end)), upload: rest() }
}

/** Waits for the next part, undefined at the end. Who reads no further leaves the request as it is, so that it can still be answered. */
function partsOf({ request, clock }: Reading): (withinMs: number) => Promise<Buffer | undefined> {
  const parts = (request as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  return async (withinMs) => {
    const cancel = clock.after(Math.max(0, withinMs), () => request.destroy(new Error(`no more of it came within ${withinMs} ms`)))
    try {
      const { done, value } = await parts.next()
      return done ? undefined : value
    } catch (error) {
      throw fault.request_cut({}, error)
    } finally {
      cancel()
    }
  }
}

function tooLong(): Error {
  return fault.bad_input({ problem: `more than ${maxInputBytes} bytes` })
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw fault.bad_input({ problem: 'no JSON' })
  }
}
