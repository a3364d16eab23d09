// When each node was last heard, kept between commands: a node that does not answer is shown with the age of what is known of it.
import type { Clock } from '../../kernel/clock.ts'
import { makeFolder, readText, writeWhole } from '../../kernel/file.ts'
import { dirname } from 'node:path'

/** Nobody reads the age to the second: the file is written when something in it is older than this. */
const fineMs = 10_000

export interface Heard {
  /** ms since 1970; undefined: never, as far as is known here. */
  at(node: string): number | undefined
  note(node: string): void
  /** A hint for a person: what cannot be written is no fault. */
  save(): void
}

/** A file that is not there or not whole begins anew. */
export function openHeard({ clock }: { readonly clock: Pick<Clock, 'now'> }, path: string): Heard {
  const times = new Map(Object.entries(read(path)).filter((entry): entry is [string, number] => typeof entry[1] === 'number'))
  let isStale = false
  return {
    at: (node) => times.get(node),
    note(node) {
      const now = clock.now()
      if (Math.abs(now - (times.get(node) ?? 0)) < fineMs) return
      times.set(node, now)
      isStale = true
    },
    save() {
      if (!isStale) return
      try {
        makeFolder(dirname(path))
        writeWhole(path, `${JSON.stringify(Object.fromEntries(times))}\n`)
      } catch {
        // it is shown without an age then
      }
    },
  }
}

function read(path: string): object {
  try {
    const value: unknown = JSON.parse(readText(path) ?? '{}')
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
