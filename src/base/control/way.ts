// How a client gets to a daemon: where it is called, and how a request to it is opened.
import { type ClientRequest, type RequestOptions, request } from 'node:http'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { type SocketKind, socketNames } from './api.ts'

export interface Way {
  /** As faults call it: a path, or `host:port`. */
  readonly name: string
  /** A request on a connection of its own, of which nothing has been sent. */
  open(asked: Pick<RequestOptions, 'method' | 'path'> & { readonly headers: Readonly<Record<string, string>> }): Promise<ClientRequest>
}

/** Over a stream that is opened for each call, by whatever leads there. */
export function streamWay(name: string, open: () => Promise<Duplex>): Way {
  return {
    name,
    async open({ headers, ...asked }) {
      const stream = await open()
      return request({ ...asked, headers: { host: 'localhost', ...headers }, createConnection: () => stream })
    },
  }
}

/** Through a socket in the runtime folder of a daemon of this machine. */
export function socketWay(folder: string, kind: SocketKind): Way {
  const socketPath = join(folder, socketNames[kind])
  return {
    name: socketPath,
    open: async ({ headers, ...asked }) => request({ ...asked, socketPath, headers: { host: 'localhost', ...headers }, agent: false }),
  }
}
