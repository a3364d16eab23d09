// Whether anything at all answers at a TCP address: the first question when nothing works, before any protocol is spoken.
import { connect } from 'node:net'
import { reasonOf } from '../../kernel/fault.ts'

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

/** Of several addresses of a name each has its own error. */
function problemOf(error: Error): string {
  return error instanceof AggregateError ? [...new Set(error.errors.map(reasonOf))].join(', ') : reasonOf(error)
}
