// Nothing but a plain file is opened as a database: to open a FIFO would wait for whoever writes to it, perhaps for ever.
import { statOf } from '../../kernel/file.ts'
import { fault } from './faults.ts'

/** Fault `store.failed` when `path`, or what SQLite and we keep beside it, is there and is no plain file. */
export function mustBePlain(path: string): void {
  for (const each of ['', '-wal', '-shm', '-journal', '-mark'].map((suffix) => path + suffix)) {
    const stat = statOf(each)
    if (stat && !stat.isFile()) throw fault.failed({ path: each, reason: 'something that is no plain file has this name' })
  }
}
