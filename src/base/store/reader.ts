// Reads a database whose writer is another process, or nobody.
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { storeFault } from './faults.ts'
import { mustBePlain } from './plain.ts'
import type { Store } from './store.ts'

export type Reader = Pick<Store, 'get' | 'all' | 'close'>

/** Opens the database at `path` for reading alone; it must be there. Faults `store.failed`, `store.damaged`, `store.busy`, also from statements. */
export function readStore(path: string, busyTimeoutMs = 1_000): Reader {
  const attempt = <Result>(work: () => Result): Result => {
    try {
      return work()
    } catch (error) {
      throw storeFault(path, error)
    }
  }
  mustBePlain(path)
  const database = attempt(() => new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMs }))
  return {
    get: <Row>(sql: string, ...values: SQLInputValue[]) => attempt(() => database.prepare(sql).get(...values) as Row | undefined),
    all: <Row>(sql: string, ...values: SQLInputValue[]) => attempt(() => database.prepare(sql).all(...values) as Row[]),
    close: () => database.close(),
  }
}
