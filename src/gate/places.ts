// Sockets that stand for a principal each, as they are configured now: they come, go and change hands while the gate runs.
import { setMode } from '../kernel/file.ts'
import type { Via } from '../base/access/principal.ts'
import type { Local } from '../base/mcp/door/http.ts'

export type Place = {
  readonly path: string
  /** Who everyone is that comes in here. */
  readonly principal: string
  /** Of the socket's file: 0600 or 0660, say. */
  readonly mode: number
}

export type OpenPlace = {
  /** Somebody else is meant now: who came in before goes. */
  recheck(): void
  /** Lets nobody in any more; what runs has `graceMs` to end. */
  close(graceMs: number): Promise<void>
}

/** Something else that is ready to hold: `take` cannot fail any more, `undo` leaves all as it was. */
export type Prepared = { take(): void; undo(): Promise<void> }

export type PlacesSettings = {
  readonly via: Via
  /** How long what runs may go on where a socket is taken away while the gate goes on. */
  readonly drainMs: number
  /** And where the gate ends, when all calls have been answered already. */
  readonly flushMs: number
}

/** `who`: the principal of that path; nobody before it is taken, or when it is taken away. */
type Open = (place: Place, who: Local) => Promise<OpenPlace>

export class Places implements AsyncDisposable {
  readonly #open: Open
  readonly #settings: PlacesSettings
  readonly #places = new Map<string, { readonly place: Place; readonly open: OpenPlace }>()

  constructor(open: Open, settings: PlacesSettings) {
    this.#open = open
    this.#settings = settings
  }

  /** Opens those that are new. Faults: those of `open`. */
  async prepare(next: readonly Place[]): Promise<Prepared> {
    const fresh = new Map<string, OpenPlace>()
    const undo = async (): Promise<void> => {
      await Promise.all([...fresh.values()].map((open) => open.close(0)))
    }
    try {
      for (const place of next) if (!this.#places.has(place.path)) fresh.set(place.path, await this.#open(place, this.#who(place.path)))
    } catch (error) {
      await undo()
      throw error
    }
    return { take: () => this.#take(next, fresh), undo }
  }

  #take(next: readonly Place[], fresh: ReadonlyMap<string, OpenPlace>): void {
    const gone = [...this.#places].filter(([path]) => !next.some((place) => place.path === path))
    for (const [path, { open }] of gone) {
      this.#places.delete(path)
      open.recheck()
      void open.close(this.#settings.drainMs)
    }
    for (const place of next) {
      const before = this.#places.get(place.path)
      const open = before?.open ?? fresh.get(place.path)!
      this.#places.set(place.path, { place, open })
      if (before && before.place.mode !== place.mode) setMode(place.path, place.mode)
      if (before) open.recheck()
    }
  }

  #who(path: string): Local {
    return () => {
      const name = this.#places.get(path)?.place.principal
      return name === undefined ? undefined : { name, via: this.#settings.via }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#places.values()].map(({ open }) => open.close(this.#settings.flushMs)))
  }
}
