// What went wrong, and the next thing to do.
import type { Failure } from '../failure.ts'

export function Problem({ failure }: { readonly failure: Failure }) {
  return (
    <div class="problem" role="alert">
      <p>{failure.message}</p>
      {failure.hint !== undefined && <p class="hint">{failure.hint}</p>}
    </div>
  )
}
