// What a JetStream bucket holds, and then what changes, fetched in pages: nothing is sent before it is asked for, so a slow reader fills no queue.
import { AckPolicy, DeliverPolicy, type JetStreamClient, type JetStreamManager, type JsMsg } from '@nats-io/jetstream'
import { nanos } from '@nats-io/transport-node'
import type { Clock } from '../../kernel/clock.ts'
import { fault } from './faults.ts'
import { askAgain, unavailable } from './asking.ts'
import type { Nats } from './nats.ts'

export type FeedNeeds = { readonly nats: Nats; readonly manager: JetStreamManager; readonly client: JetStreamClient; readonly clock: Clock }

export type Source = { readonly stream: string; readonly subject: string }

/** A message, or `'current'` once: all that its leader held when the feed began has been given. */
export type Fed = JsMsg | 'current'

/** Messages of at most 64 KiB: 8 MiB. */
const pageSize = 128
/** A replica that is this far behind its leader is not waited for. */
const catchUpMs = 1_000
const pageMs = 20_000
/** A reader who is away for longer begins again. */
const keptMs = 120_000

/**
 * The last message of each subject of a stream, then each new one; where several follow each other on one subject, perhaps only the last. Ends when `signal` is
 * aborted. Fault `kv.unavailable` when some may have been missed, the loss of a connection included.
 */
export async function* feed(
  { nats, manager, client, clock }: FeedNeeds,
  { stream, subject }: Source,
  signal: AbortSignal,
): AsyncGenerator<Fed> {
  const { state } = await askAgain(nats, clock, () => manager.streams.info(stream))
  const created = await askAgain(nats, clock, () =>
    manager.consumers.add(stream, {
      deliver_policy: DeliverPolicy.LastPerSubject,
      filter_subject: subject,
      ack_policy: AckPolicy.None,
      inactive_threshold: nanos(keptMs),
      mem_storage: true,
      num_replicas: 1,
    }),
  )
  const { lost } = nats
  const consumer = client.consumers.getConsumerFromInfo(created)
  try {
    let last = 0
    let isCurrent = state.messages === 0
    if (isCurrent) yield 'current'
    while (!signal.aborted) {
      lost.throwIfAborted()
      const page = await consumer.fetch({ max_messages: pageSize, expires: isCurrent ? pageMs : catchUpMs })
      const stop = (): void => page.stop()
      for (const end of [signal, lost]) end.addEventListener('abort', stop)
      if (signal.aborted || lost.aborted) stop()
      let count = 0
      try {
        for await (const message of page) {
          count++
          if (message.info.deliverySequence !== ++last) throw fault.unavailable({ reason: 'some changes were missed' })
          yield message
          if (isCurrent || message.seq < state.last_seq) continue
          isCurrent = true
          yield 'current'
        }
      } finally {
        for (const end of [signal, lost]) end.removeEventListener('abort', stop)
        page.stop()
      }
      if (isCurrent || count === pageSize || signal.aborted || lost.aborted) continue
      isCurrent = true
      yield 'current'
    }
  } catch (error) {
    throw unavailable(error)
  } finally {
    void consumer.delete().catch(() => {}) // gone with its server, or it goes by itself
  }
}
