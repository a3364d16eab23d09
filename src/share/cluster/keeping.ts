// Which entries a host gives to its members, and which it takes from them.
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/clock.ts'
import { isFresh } from '../entry/entry.ts'
import type { Group } from '../entry/group.ts'
import { createOpener } from '../entry/opener.ts'
import type { Shelf } from '../shelf.ts'
import { holdIn } from './holds.ts'
import type { Connected } from './members.ts'
import type { Message } from './messages.ts'

export type KeepingNeeds = { readonly clock: Pick<Clock, 'now'>; readonly log: Log; readonly group: Group; readonly shelf: Shelf }

export interface Keeping {
  /** The entry for the key, while it holds. */
  get(key: string): Uint8Array | undefined
  /** Takes what a member got from the API by the host's leave; false: it is refused, or there is no room. */
  put(member: Connected, done: Extract<Message, { is: 'done' }>, sealed: Uint8Array): boolean
  /** Counts and tells what is not taken. */
  refuse(member: Connected, why: string): false
  /** Whether the API told that to the member, and it holds. */
  isHold(member: Connected, budget: string, sealed: Uint8Array): boolean
}

export function createKeeping({ clock, log, group, shelf }: KeepingNeeds): Keeping {
  const refuse = ({ peer }: Connected, why: string): false => {
    shelf.count('refused')
    log.warn('share.entry_refused', { peer, why })
    return false
  }
  const opener = createOpener({ clock, group })
  return {
    refuse,
    get(key) {
      const sealed = shelf.get(key)
      const opened = sealed && opener.open(sealed, key)
      return opened?.is === 'entry' && isFresh(opened.entry, clock.now()) ? sealed : undefined
    },
    put(member, { key, subject }, sealed) {
      const opened = opener.open(sealed, key)
      if (opened.is === 'refused') return refuse(member, opened.why)
      if (opened.origin !== member.peer) return refuse(member, 'signed by another')
      if (!isFresh(opened.entry, clock.now())) return refuse(member, 'its time is over')
      return shelf.put(key, { sealed, atMs: opened.entry.atMs, subject })
    },
    isHold(member, budget, sealed) {
      const hold = holdIn(sealed, budget, group, clock.now())
      return hold?.origin === member.peer || refuse(member, 'no limit that it was told')
    },
  }
}
