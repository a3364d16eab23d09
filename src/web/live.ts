// Live data: what the parts of a page follow, over as few connections as there can be, since a browser opens only six to a host.
import { createContext } from 'preact'
import { useContext, useEffect, useState } from 'preact/hooks'
import type { Ask, Told } from '../gate/dashboard/client.ts'
import { after } from './browser.ts'
import { Failure } from './failure.ts'

/** Of one connection, as the gate has it. */
const maxAsks = 16
const restMs = 2_000

/** What is known of something that is followed: its newest value stays when it cannot be had any more. */
export type Followed<Value> = { readonly value?: Value; readonly failure?: Failure | undefined }
type Follower = (told: Told) => void

export class Live {
  /** Told whether the connections stand, and when one could not be opened. */
  readonly #told: (isConnected: boolean) => void
  readonly #followers = new Map<string, Set<Follower>>()
  readonly #last = new Map<string, Told>()
  #sources: EventSource[] = []
  #cancel: (() => void) | undefined

  constructor(told: (isConnected: boolean) => void) {
    this.#told = told
  }

  /** What was heard before is told at once. Returns what ends it. */
  follow(ask: Ask, follower: Follower): () => void {
    const key = JSON.stringify(ask)
    const followers = this.#followers.get(key) ?? new Set()
    const isNew = followers.size === 0
    this.#followers.set(key, followers.add(follower))
    const last = this.#last.get(key)
    if (last) follower(last)
    if (isNew) this.#soon(0)
    return () => {
      followers.delete(follower)
      if (followers.size > 0 || this.#followers.get(key) !== followers) return
      this.#followers.delete(key)
      this.#last.delete(key)
      this.#soon(0)
    }
  }

  close(): void {
    this.#cancel?.()
    for (const source of this.#sources) source.close()
  }

  /** Those of a whole page come and go together. */
  #soon(delayMs: number): void {
    this.#cancel?.()
    this.#cancel = after(delayMs, () => this.#open())
  }

  #open(): void {
    for (const source of this.#sources) source.close()
    const keys = [...this.#followers.keys()]
    const parts = Array.from({ length: Math.ceil(keys.length / maxAsks) }, (_, at) => keys.slice(at * maxAsks, (at + 1) * maxAsks))
    this.#sources = parts.map((part) => this.#listen(part))
  }

  #listen(keys: readonly string[]): EventSource {
    const source = new EventSource(`/api/live?asks=${encodeURIComponent(`[${keys.join(',')}]`)}`)
    source.addEventListener('open', () => this.#told(true))
    source.addEventListener('message', ({ data }) => {
      const told = JSON.parse(data as string) as Told
      const key = keys[told.ask]!
      if (!('item' in told)) this.#last.set(key, told)
      for (const follower of this.#followers.get(key) ?? []) follower(told)
    })
    source.addEventListener('error', () => {
      this.#told(false)
      if (source.readyState === EventSource.CLOSED) this.#soon(restMs) // it was refused: the browser itself does not try again
    })
    return source
  }
}

export const LiveContext = createContext<Live | undefined>(undefined)

type Operations = Readonly<Record<string, (input: never, ...options: never) => Promise<unknown>>>

/** The newest answer of an operation that tells something, asked every `everyMs`. No id: nothing is asked. */
export function useLive<Calls extends object, Name extends keyof Calls & string>(
  daemon: string | undefined,
  operation: Name,
  input: Parameters<(Calls & Operations)[Name]>[0],
  everyMs = 3_000,
): Followed<Awaited<ReturnType<(Calls & Operations)[Name]>>> {
  type Value = Awaited<ReturnType<(Calls & Operations)[Name]>>
  const live = useContext(LiveContext)
  const [followed, set] = useState<Followed<Value>>({})
  const key = JSON.stringify([daemon, operation, input, everyMs])
  useEffect(() => set({}), [daemon, operation]) // of another input the answer before stays until there is a new one
  useEffect(() => {
    if (!live || daemon === undefined) return
    return live.follow({ daemon, operation, input: input as Record<string, unknown>, everyMs }, (told) => {
      if ('value' in told) set({ value: told.value as Value })
      else if ('fault' in told) set(({ value }) => ({ ...(value === undefined ? {} : { value }), failure: new Failure(told.fault) }))
    })
  }, [live, key])
  return followed
}
