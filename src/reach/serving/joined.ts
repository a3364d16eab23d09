// Joins two wires into one line: what is read from one is written to the other, with back-pressure both ways, and the end of one ends both.
import type { Wire, WireEnd } from '../../base/wire/wire.ts'

export type JoinEnd = { readonly side: 'left' | 'right'; readonly end: WireEnd }

/** Carries frames until either wire ends, then closes the other; resolves when both are closed, with the side that ended first. */
export async function joinWires(left: Wire, right: Wire): Promise<JoinEnd> {
  left.read(right)
  right.read(left)
  const first = await Promise.race([
    left.ended.then((end): JoinEnd => ({ side: 'left', end })),
    right.ended.then((end): JoinEnd => ({ side: 'right', end })),
  ])
  await Promise.all([left.close(), right.close()])
  return first
}
