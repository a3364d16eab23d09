// Opens sealed entries, the same bytes once: to prove them takes longer than all the rest of a hit.
import type { Clock } from '../../kernel/clock.ts'
import { type Opened, type Refused, open } from './entry.ts'
import type { Group } from './group.ts'

export interface Opener {
  /** As `open`. The same bytes (the very array, which nobody changes) are proved once, for as long as somebody has them. */
  open(bytes: Uint8Array, key: string): Opened | Refused
  /** What we sealed ourselves needs no proof. */
  know(bytes: Uint8Array, opened: Opened): void
}

export function createOpener({ clock, group }: { readonly clock: Pick<Clock, 'now'>; readonly group: Group }): Opener {
  const known = new WeakMap<Uint8Array, Opened>()
  return {
    open(bytes, key) {
      const before = known.get(bytes)
      if (before?.entry.key === key) return before
      const found = open(bytes, key, group, clock.now())
      if (found.is === 'entry') known.set(bytes, found)
      return found
    },
    know: (bytes, opened) => void known.set(bytes, opened),
  }
}
