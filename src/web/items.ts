// What an operation says on the way, for as long as a page is open: each item once, as it comes.
import { useContext, useEffect, useRef } from 'preact/hooks'
import { LiveContext } from './live.ts'

/** Begins anew by itself when the connection broke; what was said meanwhile is not heard. */
export function useItems<Item>(daemon: string | undefined, operation: string, take: (item: Item) => void): void {
  const live = useContext(LiveContext)
  const taking = useRef(take)
  taking.current = take
  useEffect(() => {
    if (!live || daemon === undefined) return
    return live.follow({ daemon, operation }, (told) => {
      if ('item' in told) taking.current(told.item as Item)
    })
  }, [live, daemon, operation])
}
