// Serves a daemon's own API on streams that somebody else accepts and proves, such as those of peers: HTTP/1.1 on each, as everywhere else.
import { createServer } from 'node:http'
import type { Duplex } from 'node:stream'
import { type Admitted, type ControlNeeds, answering } from './answering.ts'
import type { Api } from './api.ts'
import { fault } from './faults.ts'
import { aboutOf, shut, timeLimits } from './server.ts'

/** A stream that asks nothing for so long is dropped. */
const silentMs = 10_000

export interface StreamControl extends AsyncDisposable {
  /** Answers what is asked on the stream, which is its own from now on. `admit` says for each request who asks; its faults become the client's. How many there are is bounded by who accepts them. */
  take(stream: Duplex, admit: () => Promise<Admitted>): void
}

/** Listens nowhere. */
export function openStreamControl<A extends Api>(needs: ControlNeeds<A>, daemon: string): StreamControl {
  const askers = new WeakMap<object, { readonly admit: () => Promise<Admitted>; readonly isHeard: () => void }>()
  const calls = answering(needs, {
    about: aboutOf(needs.api, daemon, 'change'),
    async admit(request) {
      const asker = askers.get(request.socket)
      if (!asker) throw fault.client_gone({})
      return asker.admit()
    },
  })
  const open = new Set<Duplex>()
  const server = createServer(timeLimits, (request, response) => {
    askers.get(request.socket)?.isHeard()
    calls.take(request, response)
  })
  return {
    take(stream, admit) {
      const isHeard = needs.clock.after(silentMs, () => stream.destroy())
      askers.set(stream, { admit, isHeard })
      open.add(stream)
      stream
        .on('error', () => {})
        .once('close', () => {
          isHeard()
          open.delete(stream)
        })
      server.emit('connection', stream)
    },
    async [Symbol.asyncDispose]() {
      calls.stop()
      await shut(server, needs.clock)
      for (const stream of open) stream.destroy()
    },
  }
}
