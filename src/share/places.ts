// Where the cache of this person lies, and where it is talked to.
import { join } from 'node:path'
import type { Folders } from '../base/terminal/command.ts'

export type Places = {
  /** One writer at a time. */
  readonly folder: string
  /** The folder of the identity that signs entries, and talks to the others of a group. */
  readonly identity: string
  readonly wallet: string
  /** Seals entries where there is no shared secret. */
  readonly key: string
  /** Sockets of the running proxy. */
  readonly control: string
  readonly socket: string
}

export function placesIn({ state, runtime }: Pick<Folders, 'state' | 'runtime'>): Places {
  const folder = join(state, 'share')
  const control = join(runtime, 'share')
  return { ...storedIn(folder), control, socket: join(control, 'api.sock') }
}

/** What lies in the folder of a cache. */
export function storedIn(folder: string): Pick<Places, 'folder' | 'identity' | 'wallet' | 'key'> {
  const identity = join(folder, 'peer')
  return { folder, identity, wallet: join(identity, 'wallet.json'), key: join(folder, 'local.key') }
}
