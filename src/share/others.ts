// How this cache meets the others of its group: they come to it, or it goes to them.
import type { Duplex } from 'node:stream'
import type { Cluster, Way } from './cluster/cluster.ts'
import { createDeputy } from './cluster/deputy.ts'
import { type HostNeeds, createHost } from './cluster/host.ts'
import { createKeeping } from './cluster/keeping.ts'
import { createMembership } from './cluster/member.ts'
import type { GroupSum } from './cluster/sum.ts'

/** A stream of a peer that proved this id, from this IP address. */
export type Accept = (stream: Duplex, member: string, ip: string) => void
export type Serving = AsyncDisposable & { readonly port: number; addresses(): readonly string[] }

export type Others =
  | { readonly is: 'host'; serve(accept: Accept): Promise<Serving>; readonly onMember?: (peer: string) => void }
  | {
      readonly is: 'member'
      /** Tried in this order. */
      readonly bootstrap: readonly Way[]
      dial(way: Way, signal: AbortSignal): Promise<Duplex>
      /** Absent: nobody can come to it. */
      serve?(accept: Accept): Promise<Serving>
      /** For so long a question waits for the next host when one is lost; by default for 3 s. */
      readonly graceMs?: number
    }

export type Met = {
  readonly cluster: Cluster
  /** How the first try to join ended: undefined when it went well, or there is none. */
  readonly joined: Promise<Error | undefined>
  /** Where others come to this cache. */
  addresses(): readonly string[]
  /** What its members have counted. */
  readonly sum?: GroupSum
}

type Needs = Omit<HostNeeds, 'onMember'>
type Own = { readonly own: string; readonly stack: AsyncDisposableStack }

export async function meet(needs: Needs, others: Others, { own, stack }: Own): Promise<Met> {
  if (others.is === 'host') {
    const host = createHost({ ...needs, onMember: others.onMember })
    stack.defer(() => host.close())
    const serving = stack.use(await others.serve((stream, member, ip) => void host.accept(stream, { host: own, member }, ip)))
    return { cluster: host, joined: Promise.resolve(undefined), addresses: serving.addresses, sum: host.sum }
  }
  const { bootstrap, serve, graceMs } = others
  const memberNeeds = {
    ...needs,
    dial: others.dial.bind(others),
    kept: createKeeping(needs).get,
    counted: () => needs.shelf.counts,
  }
  const settings = { own, bootstrap, scope: needs.scope, graceMs }
  if (!serve) {
    const member = createMembership(memberNeeds, settings)
    stack.defer(() => member.close())
    return { cluster: member, joined: member.begun, addresses: () => [] }
  }
  let accept: Accept = (stream) => stream.destroy()
  const serving = stack.use(await serve((...came) => accept(...came)))
  const deputy = createDeputy(memberNeeds, { ...settings, port: serving.port })
  stack.defer(() => deputy.close())
  accept = (stream, member, ip) => void deputy.accept(stream, { host: own, member }, ip)
  return { cluster: deputy, joined: deputy.begun, addresses: serving.addresses }
}
