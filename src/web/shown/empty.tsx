// In place of what is not there: still coming, not to be had, or none.
import type { ComponentChildren } from 'preact'
import type { Followed } from '../live.ts'
import { Problem } from './problem.tsx'

/** Shows what is followed once there is something; with a note when it is old. */
export function Loaded<Value>({ of, children }: { readonly of: Followed<Value>; readonly children: (value: Value) => ComponentChildren }) {
  const { value, failure } = of
  return (
    <>
      {failure && <Problem failure={failure} />}
      {value !== undefined && children(value)}
      {value === undefined && !failure && (
        <p class="waiting" role="status">
          Looking…
        </p>
      )}
    </>
  )
}

export function None({ children }: { readonly children: ComponentChildren }) {
  return <p class="none">{children}</p>
}
