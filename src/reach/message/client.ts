// Sends one message over an open stream, and believes nothing but the recipient's signed receipt.
import { type Fault, asFault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { PeerStream } from '../../base/peer/host/host.ts'
import { fault } from '../faults.ts'
import { jsonFrame, readJson } from '../json-frames.ts'
import { type Receipt, openReceipt } from './message.ts'
import { maxAnswerBytes, readAnswer, requestValue } from './protocol.ts'
import { visibleText } from '../../base/terminal/visible.ts'

const answerMs = 15_000

/** Faults: `reach.message_refused`, `reach.receipt_invalid`, and `reach.no_receipt` when it is not known whether the message arrived. */
export async function deliver(clock: Clock, stream: PeerStream, { id, signed }: { id: string; signed: Uint8Array }): Promise<Receipt> {
  const peer = stream.remotePeer
  let isLate = false
  const cancel = clock.after(answerMs, () => {
    isLate = true
    stream.abort()
  })
  try {
    stream.duplex.end(jsonFrame(requestValue(signed)))
    const next = await readJson(stream.duplex, maxAnswerBytes).next()
    if (next.done) throw fault.no_receipt({ peer, problem: 'it ended the stream' })
    const answer = readAnswer(peer, next.value)
    if ('receipt' in answer) return openReceipt(answer.receipt, { to: peer, id, signed })
    const { code, kind, message } = answer.refused
    throw fault.message_refused({ peer, code, kind, message: visibleText(message).replaceAll('\n', ' ') })
  } catch (error) {
    const found: Fault = asFault(error)
    if (found.code.startsWith('reach.')) throw found
    const problem = isLate ? `nothing came within ${answerMs / 1000} s` : found.message.replace(/^unexpected: /, '')
    throw fault.no_receipt({ peer, problem }, error)
  } finally {
    cancel()
    stream.abort()
  }
}
