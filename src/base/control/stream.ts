// The answer of an operation that goes on for a while: items as they come, an empty line when there is nothing to say, and at last the result or the error.
import type { ServerResponse } from 'node:http'
import type { Clock } from '../../kernel/clock.ts'
import type { Fault } from '../../kernel/fault.ts'
import { type Saying, beatMs, ndjsonType, stallMs } from './api.ts'
import { fault } from './faults.ts'

export interface StreamAnswer extends Saying<unknown> {
  /** False until a byte was sent: then a fault can still be an answer of its own, with its status. */
  readonly isBegun: boolean
  end(last: { readonly result: unknown } | { readonly error: Fault }): void
  /** Leaves the response to another answer; only before it is begun. */
  leave(): void
}

/** `onBeat` is called each time that the stream shows that it lives. Ended by `end`, or by the close of the response. */
export function streamAnswer(response: ServerResponse, clock: Clock, onBeat: () => void = () => {}): StreamAnswer {
  let isQuiet = true
  let cancelBeat = (): void => {}
  let whenRoom: Promise<void> | undefined
  const write = (line: string): boolean => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': ndjsonType, 'cache-control': 'no-store' })
    isQuiet = false
    return response.write(line)
  }
  const beat = (): void => {
    if (isQuiet && !response.writableNeedDrain) write('\n')
    isQuiet = true
    cancelBeat = clock.after(beatMs, beat)
    onBeat()
  }
  cancelBeat = clock.after(beatMs, beat)
  response.once('close', () => cancelBeat())
  const isOver = (): boolean => response.destroyed || response.writableEnded
  return {
    async say(item) {
      if (isOver()) throw fault.client_gone({})
      if (!write(`${JSON.stringify({ item })}\n`)) whenRoom ??= room(response, clock).finally(() => (whenRoom = undefined))
      await whenRoom
    },
    get isBegun() {
      return response.headersSent
    },
    end(last) {
      cancelBeat()
      if (isOver()) return
      write(`${JSON.stringify(last)}\n`)
      response.end()
    },
    leave: () => cancelBeat(),
  }
}

/** Resolves when the reader has read on; one that does not read is cut off at last. */
function room(response: ServerResponse, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(stallMs, () => response.destroy())
    const done = (isGone: boolean) => (): void => {
      cancel()
      response.off('drain', onDrain).off('close', onClose)
      if (isGone) reject(fault.client_gone({}))
      else resolve()
    }
    const onDrain = done(false)
    const onClose = done(true)
    response.once('drain', onDrain).once('close', onClose)
  })
}
