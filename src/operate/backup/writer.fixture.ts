// A program that writes a database and is killed in the middle of its work, so that its log is left behind: `writer.fixture.ts <path> <value>`.
import process from 'node:process'
import { openStore } from '../../base/store/store.ts'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'

const [path = '', value = ''] = process.argv.slice(2)
const store = openStore({ path, migrations: ['CREATE TABLE t (value TEXT) STRICT'], log: silentLog, clock: systemClock })
store.run('DELETE FROM t')
store.run('INSERT INTO t VALUES (?)', value)
console.log('written')
process.stdin.resume()
