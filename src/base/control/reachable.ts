// A daemon as the dashboard finds it: what it is, where, and its operations, called by whoever lets people in.
import { join } from 'node:path'
import { statOf } from '../../kernel/file.ts'
import type { Context, Home } from '../terminal/command.ts'
import { type Api, type Calls, type Handlers, socketNames } from './api.ts'
import { forwardable, forwarding } from './forward.ts'

/** What people see of it. */
export type ReachableName = {
  /** Unique on this machine, of `[a-z0-9.-]`: `node.pi`. */
  readonly id: string
  /** Daemons of one kind have the same operations. */
  readonly kind: string
  /** What people call it. */
  readonly name: string
  /** Where it is, in words: an address, a folder. Another one under the same id is another daemon. */
  readonly where: string
}

export type Reachable = ReachableName & { readonly api: Api; readonly handlers: Handlers<Api> }

export type FindNeeds = Pick<Context, 'clock' | 'env' | 'peers' | 'signal'> & {
  /** Where this capability's daemons may have their files. */
  readonly homes: readonly Home[]
}

/** The daemons of one capability that can be reached from here: the default export of its `reachable.ts`. They are looked up, not called. */
export type ReachableSource = { find(needs: FindNeeds): Promise<readonly Reachable[]> }

/** A source as the generated list knows it. */
export type ReachableEntry = { readonly owner: string; load(): Promise<{ readonly default: ReachableSource }> }

/** The first of these folders in which a daemon has left its sockets. What is in one that we may not look into is somebody else's. */
export function folderInUse(folders: readonly string[]): string | undefined {
  return folders.find((folder) => {
    try {
      return statOf(join(folder, socketNames.observe)) !== undefined
    } catch {
      return false
    }
  })
}

/** One that is reached by its client, which is made for each call. Uploads are left out. */
export function reachable<A extends Api>(named: ReachableName, api: A, calls: () => Calls<A>): Reachable {
  return { ...named, api: forwardable(api), handlers: forwarding(api, calls) as Handlers<Api> }
}

/** All daemons that there are at this moment; of two with the same id the first. A capability that cannot say it has none. */
export async function findReachable(
  { homes, ...needs }: FindNeeds,
  entries: readonly ReachableEntry[],
  failed: (owner: string, error: unknown) => void,
): Promise<readonly Reachable[]> {
  const found = await Promise.all(
    entries.map(async ({ owner, load }) => {
      const own = homes.filter(({ capability }) => capability === undefined || capability === owner)
      try {
        return await (await load()).default.find({ ...needs, homes: own })
      } catch (error) {
        failed(owner, error)
        return []
      }
    }),
  )
  return [
    ...new Map(
      found
        .flat()
        .toReversed()
        .map((one) => [one.id, one]),
    ).values(),
  ].reverse()
}
