// A button that does something at once: it waits while that is being done, and says why it could not be.
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { type Failure, failureOf } from '../failure.ts'

type Needs = {
  readonly act: () => Promise<unknown>
  readonly kind?: 'main' | 'danger'
  readonly label?: string
  readonly children: ComponentChildren
}

export function Act({ act, kind, label, children }: Needs) {
  const [isBusy, setBusy] = useState(false)
  const [failure, setFailure] = useState<Failure>()
  const start = (): void => {
    setBusy(true)
    setFailure(undefined)
    act()
      .catch((error: unknown) => setFailure(failureOf(error)))
      .finally(() => setBusy(false))
  }
  return (
    <span class="act">
      <button type="button" class={kind} aria-label={label} aria-busy={isBusy} disabled={isBusy} onClick={start}>
        {children}
      </button>
      {failure && (
        <span class="refused" role="alert">
          {failure.message}
          {failure.hint !== undefined && `: ${failure.hint}`}
        </span>
      )}
    </span>
  )
}
