// What the dashboard's pages and the gate say to each other, besides the operations of the daemons: types alone, for the browser's side.
import type { z } from 'zod'
import type { SocketKind } from '../../base/control/api.ts'
import type { ReachableName } from '../../base/control/reachable.ts'
import type { Fault } from '../../kernel/fault.ts'
import type { asks, begin } from './api.ts'

/** `GET /api/daemons`: those that can be asked, each at `/api/<id>/<operation>`. */
export type ShownDaemon = ReachableName

/** `GET /api/session`: who is signed in, and what they may do. */
export type Signed = { readonly person: string; readonly level: SocketKind; readonly version: string }

/** `POST /api/session`. */
export type Begin = z.input<typeof begin>

/** What `GET /api/live` is asked for: operations that only tell something. */
export type Ask = z.input<typeof asks>[number]

/** What it says, each with the place of the ask in the list: a value that is another than before, an item of a stream, or why there is neither. */
export type Told =
  | { readonly ask: number; readonly value: unknown }
  | { readonly ask: number; readonly item: unknown }
  | { readonly ask: number; readonly fault: ReturnType<Fault['toJSON']> }
