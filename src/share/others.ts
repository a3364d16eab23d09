// How this cache meets the others of its group: they come to it, or it goes to them.
import type { Duplex } from 'node:stream'
import type { Cluster } from './cluster/cluster.ts'
import { type HostNeeds, createHost } from './cluster/host.ts'
import { createMembership } from './cluster/member.ts'

/** Each stream is of the peer that proved this id. */
export type Accept = (stream: Duplex, member: string) => void
export type Serving = AsyncDisposable & { addresses(): readonly string[] }

export type Others =
  | { readonly is: 'host'; serve(accept: Accept): Promise<Serving>; readonly onMember?: (peer: string) => void }
  | {
      readonly is: 'member'
      dial(signal: AbortSignal): Promise<{ readonly stream: Duplex; readonly host: string }>
      /** Absent: nobody can come to it. */
      serve?(accept: Accept): Promise<Serving>
    }

export type Met = {
  readonly cluster: Cluster
  /** How the first try to join ended: undefined when it went well, or there is none. */
  readonly joined: Promise<Error | undefined>
  /** Where others come to this cache. */
  addresses(): readonly string[]
}

export async function meet(
  needs: Omit<HostNeeds, 'onMember'>,
  others: Others,
  { own, stack }: { readonly own: string; readonly stack: AsyncDisposableStack },
): Promise<Met> {
  if (others.is === 'member') {
    const serving = await others.serve?.((stream) => stream.end())
    if (serving) stack.use(serving)
    const dial = async (signal: AbortSignal) => {
      const { stream, host } = await others.dial(signal)
      return { stream, ends: { host, member: own } }
    }
    const cluster = stack.adopt(createMembership({ ...needs, dial }), (joined) => joined.close())
    return { cluster, joined: cluster.begun, addresses: () => serving?.addresses() ?? [] }
  }
  const cluster = stack.adopt(createHost({ ...needs, onMember: others.onMember }), (host) => host.close())
  const serving = stack.use(await others.serve((stream, member) => void cluster.accept(stream, { host: own, member })))
  return { cluster, joined: Promise.resolve(undefined), addresses: () => serving.addresses() }
}
