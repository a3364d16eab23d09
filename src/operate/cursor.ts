// Where a list goes on: an opaque text that holds the place itself, so that the server keeps nothing between two pages.
import { fault } from './faults.ts'

/** The order of the list, and the sort value and id of the last row that was given. */
export type Place = { readonly order: string; readonly value: number; readonly id: number }

export function encodeCursor({ order, value, id }: Place): string {
  return Buffer.from(JSON.stringify([order, value, id])).toString('base64url')
}

/** Faults `operate.bad_cursor` for a text that is none of ours, or one that belongs to another order. */
export function decodeCursor(text: string, order: string): Place {
  let held: unknown
  try {
    held = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
  } catch {
    throw fault.bad_cursor({ problem: 'it is not one that this tool gave' })
  }
  if (
    !Array.isArray(held) ||
    held.length !== 3 ||
    typeof held[0] !== 'string' ||
    !Number.isFinite(held[1]) ||
    !Number.isSafeInteger(held[2])
  ) {
    throw fault.bad_cursor({ problem: 'it is not one that this tool gave' })
  }
  if (held[0] !== order) throw fault.bad_cursor({ problem: `it belongs to a list in another order (${held[0].slice(0, 40)})` })
  return { order, value: held[1] as number, id: held[2] as number }
}
