// What a gate has together with the other gates of its cluster: the shared state, who else is there, and what all may use.
import type { Clock } from '../kernel/clock.ts'
import { asFault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { OpenShared } from '../base/cluster/open.ts'
import type { Copy, Kv } from '../base/kv/kv.ts'
import { Presence } from './presence.ts'
import { SharedAccounts } from './limit/shared-accounts.ts'

export type Together = { readonly kv: Kv; readonly gates: Presence; readonly accounts: SharedAccounts }

type TogetherNeeds = { readonly clock: Clock; readonly log: Log; readonly openShared?: OpenShared | undefined }

/** Undefined for a gate that is alone. All is closed with `stack`. Fault `kv.unavailable`. */
export async function openTogether(
  { clock, log, openShared }: TogetherNeeds,
  { maxSessions }: { readonly maxSessions: number },
  stack: AsyncDisposableStack,
): Promise<Together | undefined> {
  const kv = await openShared?.({ part: 'gate', maxEntries: maxSessions })
  if (!kv) return undefined
  stack.defer(() => kv.close())
  const gates = stack.use(await Presence.open({ bucket: kv.bucket('gates'), clock, log }))
  const accounts = stack.use(new SharedAccounts({ bucket: kv.bucket('limits'), clock, log, gates }))
  return { kv, gates, accounts }
}

/** How the cluster is, for people. `problem`: nobody there can say. */
export type ClusterState = { readonly gates: number; readonly servers: readonly Copy[]; readonly problem?: string | undefined }

export async function clusterState({ kv, gates }: Pick<Together, 'kv' | 'gates'>): Promise<ClusterState> {
  try {
    return { gates: gates.count, servers: (await kv.copies?.()) ?? [] }
  } catch (error) {
    return { gates: gates.count, servers: [], problem: asFault(error).message }
  }
}
