// Whether anything at all answers at a place: the first question when nothing works, before any protocol of ours is spoken.
import { connect } from 'node:net'
import { reasonOf } from '../../kernel/fault.ts'
import type { WebTarget } from './address.ts'
import type { ProxyFor } from './proxy.ts'

/** Connects and lets go at once. Resolves with undefined when something listens there, else with the system's code (`ECONNREFUSED`, `ENOTFOUND`) or `no answer`. */
export function knock({ host, port }: { readonly host: string; readonly port: number }, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const done = (problem: string | undefined): void => {
      signal.removeEventListener('abort', late)
      socket.destroy()
      resolve(problem)
    }
    const late = (): void => done('no answer')
    socket.once('connect', () => done(undefined))
    socket.on('error', (error) => done(problemOf(error)))
    if (signal.aborted) late()
    else signal.addEventListener('abort', late, { once: true })
  })
}

/** The same for a WebSocket, through the proxy that is on the way: what went wrong there is told in words. */
export async function knockForWebSocket(target: WebTarget, proxyFor: ProxyFor, signal: AbortSignal): Promise<string | undefined> {
  const { openWebSocket } = await import('./websocket/dial.ts')
  try {
    const stream = await openWebSocket(target, proxyFor(target), signal)
    stream.on('error', () => {})
    stream.destroy()
    return undefined
  } catch (error) {
    return signal.aborted ? 'no answer' : problemOf(error as Error)
  }
}

/** Of several addresses of a name each has its own error. */
function problemOf(error: Error): string {
  return error instanceof AggregateError ? [...new Set(error.errors.map(reasonOf))].join(', ') : reasonOf(error)
}
