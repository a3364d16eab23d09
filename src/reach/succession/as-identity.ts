// A process that runs for long under an identity goes over to the next one when another wallet takes the place of the first: after a rotation, or a new `init`.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import { statOf } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import type { Identity } from '../../base/identity/identity.ts'
import { type Wallet, readWalletCard } from '../../base/identity/wallet.ts'
import { stopAsked } from '../../base/terminal/command.ts'

const lookEveryMs = 250
/** Other processes of the same owner go over, too, each in its own time: so long the host, and its port, may still be another identity's. */
const patienceMs = 20_000
const againMs = 200
const passing: ReadonlySet<string> = new Set(['peer.other_host', 'peer.cannot_listen'])

export type AsIdentityNeeds = {
  readonly clock: Clock
  readonly log: Log
  /** Ends it all. */
  readonly signal: AbortSignal
  /** Loads the wallet. */
  readonly open: () => Promise<Wallet>
}

/**
 * Does `work` under the identity of the wallet at `path` until `signal` aborts. When the wallet becomes another identity's, the work's own signal aborts, and it
 * is done again under that one; a wallet that is missing, or cannot be read, changes nothing. Faults of `open` and `work`.
 */
export async function asIdentity(
  { clock, log, signal, open }: AsIdentityNeeds,
  path: string,
  work: (wallet: Wallet, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  for (let isFirst = true; isFirst || !signal.aborted; isFirst = false) {
    const wallet = await open()
    const watch = watchWallet({ clock, signal }, path, wallet.identity.peerId)
    try {
      await settled(clock, isFirst, () => work(wallet, watch.signal))
    } finally {
      watch.close()
    }
    if (!watch.signal.aborted) return
    if (!signal.aborted) log.warn('reach.identity_changed', { before: wallet.identity.peerId, now: peerIdAt(path) })
  }
}

/** Who the identity of the wallet at `path` is at the moment, for what only signs. It goes on until it is closed. Faults of `open`, before the first. */
export async function currentIdentity(
  needs: Omit<AsIdentityNeeds, 'signal'>,
  path: string,
): Promise<{ now(): Identity; close(): Promise<void> }> {
  const stop = new AbortController()
  const { promise: first, resolve, reject } = Promise.withResolvers<void>()
  let identity: Identity | undefined
  const running = asIdentity({ ...needs, signal: stop.signal }, path, async (wallet, signal) => {
    identity = wallet.identity
    resolve()
    await stopAsked({ signal })
  })
  const ended = running.catch((error: unknown) => {
    reject(error)
    if (identity) needs.log.error('reach.identity_lost', { peerId: identity.peerId, error }) // what it signed goes on to count
  })
  await first
  return {
    now: () => identity!,
    async close() {
      stop.abort()
      await ended
    },
  }
}

/** A signal that aborts with `signal`, or when the wallet at `path` is another identity's. */
export function watchWallet(
  { clock, signal }: Pick<AsIdentityNeeds, 'clock' | 'signal'>,
  path: string,
  peerId: string,
): { readonly signal: AbortSignal; close(): void } {
  const changed = new AbortController()
  let seen = ''
  let cancel = (): void => {}
  const look = (): void => {
    const stat = statOf(path)
    const mark = stat ? [stat.ino, stat.size, stat.mtimeMs].join(' ') : ''
    const now = mark === seen ? peerId : peerIdAt(path)
    seen = mark
    if (now === undefined || now === peerId) cancel = clock.after(lookEveryMs, look)
    else changed.abort(new Error('the wallet is now another identity’s'))
  }
  look()
  return { signal: AbortSignal.any([signal, changed.signal]), close: () => cancel() }
}

function peerIdAt(path: string): string | undefined {
  try {
    return readWalletCard(path)?.peerId
  } catch {
    return undefined // its owner is told by whatever they do next
  }
}

async function settled(clock: Clock, isFirst: boolean, work: () => Promise<void>): Promise<void> {
  const until = clock.mono() + (isFirst ? 0 : patienceMs)
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!passing.has(asFault(error).code) || clock.mono() > until) throw error
      await clock.wait(againMs)
    }
  }
}
