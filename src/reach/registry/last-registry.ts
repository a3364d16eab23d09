// Notices which registry this machine registered with last, while something runs: the first of all may be met long after the start.
import type { Clock } from '../../kernel/clock.ts'
import { type KnownRegistries, type Server, serverText } from './known-registries.ts'

const lookEveryMs = 2_000

/** Tells the registry that was registered with last, at once and whenever it is another one, until the returned function is called. */
export function followLast(
  { clock, known }: { readonly clock: Pick<Clock, 'after'>; readonly known: Pick<KnownRegistries, 'last'> },
  tell: (server: Server) => void,
): () => void {
  let told: string | undefined
  let cancel = (): void => {}
  const look = (): void => {
    const last = lastOf(known)
    if (last && serverText(last) !== told) {
      told = serverText(last)
      tell(last)
    }
    cancel = clock.after(lookEveryMs, look)
  }
  look()
  return () => cancel()
}

function lastOf(known: Pick<KnownRegistries, 'last'>): Server | undefined {
  try {
    return known.last()
  } catch {
    return undefined // a damaged file: whoever asks a registry is told
  }
}
