// How a registry answers on a stream, whatever is asked: one request after the other, each answered once, in order, and nothing of ours told with a refusal.
import { type FaultKind, asFault, outside } from '../kernel/fault.ts'
import type { Clock } from '../kernel/clock.ts'
import type { PeerStream } from '../base/peer/host/host.ts'
import { readJson, writeJson } from './json-frames.ts'

export type Refusal = { readonly code: string; readonly kind: FaultKind; readonly message: string; readonly known?: number }

export type LoopSettings = {
  readonly maxRequestBytes: number
  /** A stream on which nothing was asked for so long is dropped. */
  readonly idleMs: number
}

/** Answers until the other end has no more to ask. Rejects when the stream brings what is no request; the caller drops it. */
export async function answerEach(
  stream: PeerStream,
  clock: Clock,
  { maxRequestBytes, idleMs }: LoopSettings,
  answer: (request: unknown) => Promise<unknown>,
): Promise<void> {
  const idle = (): (() => void) => clock.after(idleMs, () => stream.abort())
  let cancel = idle()
  try {
    for await (const request of readJson(stream.duplex, maxRequestBytes)) {
      cancel()
      const value = await answer(request)
      cancel = idle()
      await writeJson(stream.duplex, value)
    }
  } finally {
    cancel()
  }
  await stream.close()
}

/** What is wrong here is told in no more words than these. */
const cannot = 'the registry cannot do that now'
const unreached = `${cannot}: it does not reach what keeps its records`
const reasons: Readonly<Record<string, string>> = { 'kv.unavailable': unreached, 'reach.registry_unsure': unreached }

/** A defect of ours is nobody else's business: only its kind leaves. */
export function refusalOf(error: unknown): { readonly refused: Refusal } {
  const { code, kind, message, details } = asFault(error)
  const isOurs = outside[kind].httpStatus >= 500
  const known = details['known']
  return {
    refused: { code, kind, message: isOurs ? (reasons[code] ?? cannot) : message, ...(typeof known === 'number' ? { known } : {}) },
  }
}
