// Which credentials of a connector hold at a moment: a pure decision over what is written down, so that no timer that comes late changes it.

/** The one that holds. `rotatedMs`: when it was proved in use; the first one of all counts from its issue. */
export type Held = { readonly sha256: string; readonly issuedMs: number; readonly rotatedMs: number }

/** One that is to take its place. */
export type Offered = {
  readonly sha256: string
  readonly issuedMs: number
  /** The end of the overlap: then one of the two has ended, whatever happens. */
  readonly untilMs: number
  /** When a holder first hand-shook with it. */
  readonly provedMs?: number
  /** The connectors whose old ones it replaces: it does when all of them have proved it. None: it is the first one, and has nothing to prove. */
  readonly replaced: readonly string[]
}

/** Kept to say why it is refused. */
export type Ended = { readonly sha256: string; readonly endedMs: number; readonly why: 'rotated' | 'withdrawn' }

export type ConnectorCredentials = { readonly current?: Held; readonly next?: Offered; readonly ended: readonly Ended[] }
export type Credentials = Readonly<Record<string, ConnectorCredentials>>

export type Standing =
  | { readonly is: 'current'; readonly rotatedMs: number }
  /** Offered, and good until the overlap ends. */
  | { readonly is: 'next'; readonly rotatedMs: number }
  | { readonly is: 'ended'; readonly why: string; readonly atMs: number }
  | { readonly is: 'unknown' }

export const unknown: Standing = { is: 'unknown' }

/** Whether all have proved it who must. */
export function isProved(all: Credentials, { sha256, replaced }: Pick<Offered, 'sha256' | 'replaced'>): boolean {
  return replaced.every((id) => {
    const entry = all[id]
    return (entry?.next?.sha256 === sha256 && entry.next.provedMs !== undefined) || entry?.current?.sha256 === sha256
  })
}

/** How the credential with this hash stands for the connector at `nowMs`. The one that holds is stale when `windowMs` have passed since it was proved. */
export function standing(all: Credentials, connector: string, sha256: string, nowMs: number, windowMs: number): Standing {
  const entry = Object.hasOwn(all, connector) ? all[connector]! : undefined
  if (!entry) return unknown
  const { current, next } = entry
  const isOver = next !== undefined && nowMs >= next.untilMs
  const isReplaced = isOver && isProved(all, next)
  if (current?.sha256 === sha256) {
    if (isReplaced) return { is: 'ended', why: 'rotated', atMs: next.untilMs }
    const staleMs = current.rotatedMs + windowMs
    return nowMs >= staleMs ? { is: 'ended', why: 'stale', atMs: staleMs } : { is: 'current', rotatedMs: current.rotatedMs }
  }
  if (next?.sha256 === sha256) {
    if (isOver && !isReplaced) return { is: 'ended', why: 'withdrawn', atMs: next.untilMs }
    return { is: 'next', rotatedMs: next.provedMs ?? next.issuedMs }
  }
  const ended = entry.ended.find((one) => one.sha256 === sha256)
  return ended ? { is: 'ended', why: ended.why, atMs: ended.endedMs } : unknown
}

export function isGood({ is }: Standing): boolean {
  return is === 'current' || is === 'next'
}
