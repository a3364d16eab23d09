// Serves a daemon's own API on two sockets in its runtime folder: `observe.sock` for what tells something, `change.sock` for everything.
import { type Server, createServer } from 'node:http'
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { makeFolder, removeFile } from '../../kernel/file.ts'
import { listenUnix } from '../wire/unix.ts'
import { type Admit, type ControlNeeds, answering } from './answering.ts'
import { type About, type Api, type SocketKind, onBehalfHeader, socketNames } from './api.ts'
import { type Offers, answerOffers } from './offers.ts'

const maxConnections = 64
const graceMs = 500
/** Requests are bounded where they are read: an upload may take hours. */
export const timeLimits = { headersTimeout: 10_000, requestTimeout: 0 } as const

const maxNameLength = 320

/** Whoever may open a socket may do all that it offers, and say for whom. */
const atSocket: Admit = async ({ headers }) => ({
  caller: { name: nameIn(headers[onBehalfHeader]) ?? 'local', via: 'socket' },
  authorize() {},
})

function nameIn(header: string | string[] | undefined): string | undefined {
  if (typeof header !== 'string') return undefined
  try {
    return decodeURIComponent(header).slice(0, maxNameLength)
  } catch {
    return undefined
  }
}

export type SocketNeeds<A extends Api> = ControlNeeds<A> & {
  /** Told and streamed on both sockets; absent: it offers nothing. */
  readonly offers?: Offers
}

/**
 * Listens in `folder`, which is made (0700) when it is not there; each socket is for its owner alone (0600). Disposing of it removes the sockets.
 * Faults: `socket.busy`, `socket.cannot_listen`.
 */
export async function openControl<A extends Api>(
  needs: SocketNeeds<A>,
  { daemon, folder }: { readonly daemon: string; readonly folder: string },
): Promise<AsyncDisposable> {
  makeFolder(folder)
  await using stack = new AsyncDisposableStack()
  for (const kind of ['observe', 'change'] as const) {
    const calls = answering(needs, { about: aboutOf(needs.api, daemon, kind), admit: atSocket })
    const server = createServer(timeLimits, (request, response) => {
      if (!answerOffers(needs, request, response)) calls.take(request, response)
    })
    server.maxConnections = maxConnections
    const path = join(folder, socketNames[kind])
    await listenUnix(server, path)
    stack.defer(async () => {
      calls.stop()
      await shut(server, needs.clock)
      removeFile(path)
    })
  }
  return stack.move()
}

/** What a door of that kind says of itself. */
export function aboutOf(api: Api, daemon: string, kind: SocketKind): About {
  const offered = Object.entries(api).filter(([, operation]) => kind === 'change' || operation.privilege === kind)
  return { daemon, pid: process.pid, operations: offered.map(([name]) => name) }
}

/** Lets what is being answered end for a short while. */
export function shut(server: Server, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(graceMs, () => server.closeAllConnections())
    server.close(() => {
      cancel()
      resolve()
    })
    server.closeIdleConnections()
  })
}
