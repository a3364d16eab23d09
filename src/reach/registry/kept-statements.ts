// What was said about keys is final: where registries share their state, each keeps a copy of all statements, and tells the others those that it had before.
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Bucket } from '../../base/kv/kv.ts'
import { isNews, openStatement } from '../succession/statement.ts'
import type { RegistryStatements } from './statements.ts'

export type KeptStatementsNeeds = {
  readonly shared: Bucket
  readonly own: Bucket
  readonly statements: RegistryStatements
  readonly log: Log
}

/** Resolves when the others know what `own` held; from then on `own` follows `shared` until `signal` is aborted. Faults: `kv.unavailable`. */
export async function keepStatements({ shared, own, statements, log }: KeptStatementsNeeds, signal: AbortSignal): Promise<void> {
  for await (const { key, value } of own.list()) {
    try {
      await statements.announce(value)
    } catch (error) {
      const { code, message } = asFault(error)
      if (code.startsWith('kv.')) throw error
      log.info('reach.registry.not_told', { key, problem: message }) // most often the others know better: the key is revoked
    }
  }
  const follow = async (): Promise<void> => {
    for await (const change of shared.watch(signal)) {
      if (change.is !== 'set') continue
      const { key, value } = change.entry
      try {
        const known = await own.get(key)
        if (!known) await own.create(key, value)
        else if (isNews(openStatement(known.value), openStatement(value))) await own.update(key, value, known.revision)
      } catch (error) {
        log.error('reach.registry.statement_not_kept', { key, error })
      }
    }
  }
  follow().catch((error: unknown) => log.error('reach.registry.statements_not_followed', { error }))
}
