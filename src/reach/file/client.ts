// Sends one file: offers it, sends what the recipient does not have yet, and believes nothing but its signed receipt. When the connection breaks it dials again.
import type { Clock } from '../../kernel/clock.ts'
import { Fault, asFault } from '../../kernel/fault.ts'
import type { Identity } from '../../base/identity/identity.ts'
import type { PeerStream } from '../../base/peer/host/host.ts'
import { type Backoff, failed, rested } from '../../base/supervise/backoff.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import type { OutgoingFile } from '../../base/transfer/outgoing-file.ts'
import { fault } from './faults.ts'
import { openFileReceipt, signOffer } from './offer.ts'
import { type FileAnswer, offerValue, readFileAnswer } from './protocol.ts'
import { jsonFrame, readJson, writeBytes } from '../json-frames.ts'
import { type Receipt, digestOf } from '../message/message.ts'
import { type MessageRefusal, maxAnswerBytes } from '../message/protocol.ts'

/** A recipient that says nothing for so long is not there any more: it speaks four times a second. */
const silentMs = 30_000

/** Sent at once when a rate was asked for: what shares the way waits for no more than this. */
const gentleBytes = 64 << 10

export type FileClientNeeds = {
  readonly identity: Identity
  readonly clock: Clock
  readonly dial: (signal?: AbortSignal) => Promise<PeerStream>
  /** Told of bytes that were handed to the connection, all that the recipient had already included. */
  readonly onProgress: (sentBytes: number) => void
  /** Told of each signed offer that leaves: what stands for it in the history. */
  readonly onOffer: (digest: string) => void
  /** Told why the connection is made anew. */
  readonly onRetry: (problem: Fault) => void
}

export type FileClientSettings = {
  readonly file: OutgoingFile
  /** Of this wish to send the file. */
  readonly id: string
  /** How long to try again while nothing gets through. */
  readonly patienceMs: number
  readonly signal: AbortSignal
}

export type FileDelivery = Receipt & {
  /** Bytes that were sent, over all attempts. */
  readonly sentBytes: number
  readonly attempts: number
}

/**
 * Sends the file until its receipt is back. Faults: those of `dial` when the first attempt finds nobody, `reach.file_refused`, `reach.receipt_invalid`, `reach.file_cut` when
 * patience has run out, `transfer.changed`, and the reason of `signal`.
 */
export async function sendFile(needs: FileClientNeeds, settings: FileClientSettings): Promise<FileDelivery> {
  const { clock, dial, onRetry } = needs
  const { patienceMs, signal } = settings
  const sent = { bytes: 0, best: -1 }
  let backoff: Backoff = rested
  let since = clock.mono()
  let peer: string | undefined
  let mayBeDamaged = true
  for (let attempts = 1; ; attempts++) {
    const { best } = sent
    let stream: PeerStream | undefined
    try {
      stream = await dial(signal)
      peer = stream.remotePeer
      return { ...(await bring(needs, settings, stream, sent)), sentBytes: sent.bytes, attempts }
    } catch (error) {
      signal.throwIfAborted()
      const found = asFault(error)
      const isDamaged = mayBeDamaged && found.details['code'] === 'transfer.damaged'
      if (isDamaged) mayBeDamaged = false // what an earlier attempt left there was it, perhaps: it is gone now
      if (!isDamaged && (peer === undefined || !isPassing(found))) throw found
      if (sent.best > best) {
        backoff = rested
        since = clock.mono()
      }
      if (clock.mono() - since > patienceMs) throw found
      onRetry(found)
      const { next, delayMs } = failed(backoff, clock.mono())
      backoff = next
      await clock.wait(delayMs, signal)
    } finally {
      stream?.abort()
    }
  }
}

/** Whether it may work later, without anybody doing anything about it. */
function isPassing({ code, kind, details }: Fault): boolean {
  if (code === 'reach.file_refused') return passing.has(details['code'] as string)
  return passing.has(code) || (code.startsWith('peer.') && kind === 'unavailable')
}

const passing: ReadonlySet<string> = new Set([
  'reach.file_cut',
  'reach.handshake_failed', // it was reached before, so this is a forwarder that has lost it; nothing is said before the key is proved
  'reach.peer_not_found',
  'reach.registry_unreachable',
  'reach.too_many_files',
  'transfer.underway',
])

type Sent = { bytes: number; best: number }

async function bring(
  { identity, clock, onOffer, onProgress }: FileClientNeeds,
  { file, id, signal }: FileClientSettings,
  stream: PeerStream,
  sent: Sent,
): Promise<Receipt> {
  const { remotePeer: to, duplex } = stream
  const { name, sizeBytes, sha256 } = file
  const signed = await signOffer(identity, { to, id, name, sizeBytes, sha256 }, clock.now())
  let broken: Fault | undefined
  let isLate = false
  let rate: number | undefined
  let cancel = (): void => {}
  const watch = (): void => {
    cancel()
    cancel = clock.after(silentMs, () => {
      isLate = true
      stream.abort('connection')
    })
  }
  const stop = (): void => stream.abort()
  signal.addEventListener('abort', stop, { once: true })
  const pump = async (from: number): Promise<void> => {
    let at = from
    for await (const piece of file.pieces(from))
      for (let begin = 0; begin < piece.length;) {
        if (duplex.destroyed) return // the answer, or its absence, says why
        const part = piece.subarray(begin, rate === undefined ? piece.length : begin + gentleBytes)
        const dueMs = clock.mono() + (rate === undefined ? 0 : (part.length / rate) * 1000)
        await writeBytes(duplex, part)
        begin += part.length
        at += part.length
        sent.bytes += part.length
        onProgress(at)
        if (clock.mono() < dueMs) await clock.wait(dueMs - clock.mono(), signal)
      }
    await file.check()
  }
  try {
    watch()
    onOffer(digestOf(signed))
    duplex.write(jsonFrame(offerValue(signed)))
    let isAsked = false
    for await (const value of readJson(duplex, maxAnswerBytes)) {
      watch()
      const answer: FileAnswer = readFileAnswer(to, sizeBytes, value)
      if ('receipt' in answer) return openFileReceipt(answer.receipt, signed)
      if ('refused' in answer) throw refused(identity.peerId, to, answer.refused)
      rate = answer.rate
      sent.best = Math.max(sent.best, answer.held)
      if (isAsked) continue
      isAsked = true
      onProgress(answer.held)
      pump(answer.held).catch((error: unknown) => {
        broken = asFault(error)
        stream.abort()
      })
    }
    throw fault.file_cut({ peer: to, problem: 'it ended the stream' })
  } catch (error) {
    const found = broken ?? asFault(error)
    if (found.code.startsWith('reach.') || found.code.startsWith('transfer.')) throw found
    const problem = isLate ? `nothing came for ${silentMs / 1000} s` : found.message.replace(/^unexpected: /, '')
    throw fault.file_cut({ peer: to, problem }, error)
  } finally {
    cancel()
    signal.removeEventListener('abort', stop)
  }
}

function refused(own: string, peer: string, { code, kind, message }: MessageRefusal): Fault {
  return fault.file_refused({ peer, own, code, kind, message: visibleText(message).replaceAll('\n', ' ') })
}
