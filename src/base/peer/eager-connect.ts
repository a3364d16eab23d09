// Connects as soon as an address answers at all. A system repeats a first packet that got lost only after 1, 3 and 7 s: over a path that was cut and came back
// meanwhile, a connection that is asked for now is there long before one that was asked for then.
import type { Socket } from 'node:net'
import type { Transport } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../../kernel/clock.ts'

/** Without an answer for so long, a further socket is opened beside those that wait. */
const againMs = 250
/** Sockets that wait at once, the first one always among them: an answer that takes longer than three intervals comes to that one. */
const maxWaiting = 4

/** The part of libp2p's TCP that makes a socket; the signal destroys it, at any time. */
type Connects = { _connect(address: Multiaddr, options: { readonly signal: AbortSignal }): Promise<Socket> }

/** From now on the transport opens its sockets so. What is refused is refused at once. */
export function connectEagerly(transport: Transport, clock: Clock): void {
  const connects = transport as Transport & Connects
  const connect = connects._connect.bind(transport)
  connects._connect = (address, options) => firstToAnswer((signal) => connect(address, { ...options, signal }), options.signal, clock)
}

/** The first of several tries that settles; the others are aborted at once, and that one, too, when `signal` aborts, however late. */
export function firstToAnswer<Answer>(
  attempt: (signal: AbortSignal) => Promise<Answer>,
  signal: AbortSignal,
  clock: Clock,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const waiting = new Set<AbortController>()
    let isOver = false
    let cancelNext = (): void => {}
    const end = (): void => {
      isOver = true
      cancelNext()
      signal.removeEventListener('abort', stop)
      for (const one of waiting) one.abort()
    }
    const stop = (): void => {
      end()
      reject(signal.reason as Error)
    }
    const begin = (): void => {
      const one = new AbortController()
      waiting.add(one)
      if (waiting.size > maxWaiting) drop([...waiting][1]!)
      cancelNext = clock.after(againMs, begin)
      void attempt(one.signal).then(
        (answer) => {
          if (!waiting.delete(one) || isOver) return
          end()
          signal.addEventListener('abort', () => one.abort(), { once: true })
          resolve(answer)
        },
        (error: Error) => {
          if (!waiting.delete(one) || isOver) return
          end()
          reject(error)
        },
      )
    }
    const drop = (one: AbortController): void => {
      waiting.delete(one)
      one.abort()
    }
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    begin()
  })
}
