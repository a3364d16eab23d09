// Keeps the agent's certificate good: made when there is none, renewed at two thirds of its life, taken over when a person put another one there.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import { changeMark } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import {
  type CertificateFacts,
  type CertificatePaths,
  type Pem,
  certificateFacts,
  readCertificate,
  writeCertificate,
} from './certificate.ts'

export type CertificateSource = {
  /** Whose it is: `built-in`, `pki`, `acme`. */
  readonly name: string
  /** The signal ends what is under way; it may be gone on with by the next call. */
  readonly issue: (signal: AbortSignal) => Promise<Pem>
  /** What it issued last is in its place, and need not be had again. */
  readonly taken?: () => void
}

export type KeptCertificate = AsyncDisposable & {
  readonly now: () => Pem
  readonly facts: () => CertificateFacts
  /** A new one at once, whatever the age of this one. Faults: those of its source; then this one stays. */
  readonly renew: () => Promise<CertificateFacts>
}

/** At most, between two renewals, also of certificates that are born old; a tenth of its life for one that is short. */
const restMs = 6 * 3_600_000

/** `onChange` gets every certificate but the first; `signal` ends the wait for that. Faults: those of the source when there is no certificate yet. */
export async function keepCertificate(
  {
    clock,
    log,
    onChange,
    signal,
  }: { readonly clock: Clock; readonly log: Log; readonly onChange: (pem: Pem) => void; readonly signal?: AbortSignal },
  {
    paths,
    certs,
    source,
    lookEveryMs = 60_000,
  }: {
    readonly paths: CertificatePaths
    readonly certs: string
    readonly source: CertificateSource
    readonly lookEveryMs?: number
  },
): Promise<KeptCertificate> {
  const mark = (): string => `${changeMark(paths.cert)} ${changeMark(paths.key)}`
  const stop = new AbortController()
  let pem = readCertificate(paths) ?? (await issued())
  let seen = mark()
  let notBefore = 0

  async function issued(): Promise<Pem> {
    const next = await source.issue(signal ? AbortSignal.any([signal, stop.signal]) : stop.signal)
    writeCertificate(paths, certs, next)
    source.taken?.()
    return next
  }
  const use = (next: Pem): void => {
    pem = next
    seen = mark()
    onChange(next)
    log.info('run.certificate', { source: source.name, until: new Date(certificateFacts(next.chain).until).toISOString() })
  }
  const renew = async (): Promise<CertificateFacts> => {
    use(await issued())
    return certificateFacts(pem.chain)
  }
  const look = async (): Promise<void> => {
    if (mark() !== seen) {
      const found = readCertificate(paths)
      if (found) use(found)
    }
    const { from, until } = certificateFacts(pem.chain)
    if (clock.now() < from + ((until - from) * 2) / 3 || clock.mono() < notBefore) return
    notBefore = clock.mono() + Math.min(restMs, (until - from) / 10)
    await renew()
  }
  const over = (async () => {
    for (;;) {
      try {
        await clock.wait(lookEveryMs, stop.signal)
        await look()
      } catch (error) {
        if (stop.signal.aborted) return
        log.warn('run.certificate_kept', {
          reason: asFault(error).message,
          until: new Date(certificateFacts(pem.chain).until).toISOString(),
        })
      }
    }
  })()
  return {
    now: () => pem,
    facts: () => certificateFacts(pem.chain),
    renew,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await over
    },
  }
}
