// A database is whole and up to date, or set aside loudly; one writer per folder.
import { copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import { type Log, silentLog } from '../../kernel/log.ts'
import { lockFolder } from './lock.ts'
import { readStore } from './reader.ts'
import { type Store, type StoreOptions, openStore } from './store.ts'

let folder: string
const opened: Store[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'store-'))
})
afterEach(() => {
  for (const store of opened.splice(0)) store.close()
  rmSync(folder, { recursive: true })
})

const migrations = ['CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT']

function open(options: Partial<StoreOptions> = {}): Store {
  const store = openStore({ path: join(folder, 'a.db'), migrations, log: silentLog, clock: systemClock, ...options })
  opened.push(store)
  return store
}

const path = (): string => join(folder, 'a.db')

function recordingLog(): Log & { readonly errors: string[]; readonly warnings: string[] } {
  const errors: string[] = []
  const warnings: string[] = []
  return { ...silentLog, error: (event) => errors.push(event), warn: (event) => warnings.push(event), errors, warnings }
}

const notes = (store: Store): string[] => store.all<{ text: string }>('SELECT text FROM note ORDER BY id').map((row) => row.text)
const add = (store: Store, text: string): number => store.run('INSERT INTO note (text) VALUES (?)', text).lastId

/** A process that opens the store, runs `body` and is then killed with SIGKILL: its log stays behind. */
async function killedAfter(body: string): Promise<void> {
  const program = `
    import { openStore } from ${JSON.stringify(join(import.meta.dirname, 'store.ts'))}
    const quiet = { debug() {}, info() {}, warn() {}, error() {} }
    const clock = { now: () => Date.now() }
    const store = openStore({ path: ${JSON.stringify(join(folder, 'a.db'))}, migrations: ${JSON.stringify(migrations)}, log: quiet, clock })
    ${body}
    process.stdout.write('done')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit').then(() => Promise.reject(new Error('the child ended early')))])
  child.kill('SIGKILL')
  await once(child, 'exit')
}

describe('opening', () => {
  test('makes a private file with strict tables, and keeps what was written', () => {
    const store = open()
    expect(store.setAside).toBeUndefined()
    expect(statSync(store.path).mode & 0o777).toBe(0o600)
    expect(add(store, 'one')).toBe(1)
    store.close()
    expect(notes(open())).toEqual(['one'])
  })

  test('brings an older file forward, step by step', () => {
    add(open(), 'old')
    opened.pop()!.close()
    const store = open({
      migrations: [...migrations, "ALTER TABLE note ADD COLUMN tag TEXT NOT NULL DEFAULT 'x'", "UPDATE note SET tag = 'y'"],
    })
    expect(store.all('SELECT text, tag FROM note')).toMatchObject([{ text: 'old', tag: 'y' }])
  })

  test('a migration that fails leaves the file as it was', () => {
    add(open(), 'old')
    opened.pop()!.close()
    const bad = [...migrations, 'ALTER TABLE note ADD COLUMN tag TEXT; INSERT INTO nowhere VALUES (1)']
    expect(() => open({ migrations: bad })).toThrow(expect.objectContaining({ code: 'store.migration_failed' }))
    expect(open().all('SELECT * FROM note')).toMatchObject([{ id: 1, text: 'old' }])
    expect(Object.keys(open().all<object>('SELECT * FROM note')[0]!)).toEqual(['id', 'text'])
  })

  test('opens a file of a later version, and says so', () => {
    open({ migrations: [...migrations, 'ALTER TABLE note ADD COLUMN tag TEXT'] }).close()
    const log = recordingLog()
    add(open({ log }), 'still works')
    expect(log.warnings).toEqual(['store.later_version'])
  })

  test('a folder that cannot be made is a fault, and nothing is set aside', () => {
    writeFileSync(join(folder, 'plain'), '')
    expect(() => open({ path: join(folder, 'plain', 'a.db') })).toThrow(expect.objectContaining({ kind: 'unavailable' }))
    expect(readdirSync(folder)).toEqual(['plain'])
  })
})

describe('damage', () => {
  const harm: [string, (path: string) => void][] = [
    ['no database at all', (path) => writeFileSync(path, 'not a database '.repeat(50))],
    [
      'a page of zeros in the middle',
      (path) =>
        writeFileSync(path, Buffer.concat([readFileSync(path).subarray(0, 4096), Buffer.alloc(4096), readFileSync(path).subarray(8192)])),
    ],
    ['cut short', (path) => truncateSync(path, 4096 + 100)],
  ]
  test.each(['', '-wal', '-mark'])('a FIFO in place of a.db%s is a fault at once, to read and to write, and stays', async (suffix) => {
    open().close()
    opened.pop()
    rmSync(path() + suffix, { force: true })
    await once(spawn('mkfifo', [path() + suffix]), 'exit')
    for (const tried of [() => open(), () => readStore(path())])
      expect(tried).toThrow(expect.objectContaining({ code: 'store.failed', message: expect.stringContaining('no plain file') }))
    expect(statSync(path() + suffix).isFIFO()).toBe(true)
  })

  test.each(harm)('%s: set aside whole, a fresh one begun, an error logged', (_name, damage) => {
    const first = open()
    for (let index = 0; index < 500; index++) add(first, `note ${index} ${'x'.repeat(100)}`)
    first.close()
    damage(first.path)
    const bytes = readFileSync(first.path)
    const log = recordingLog()
    const second = open({ log })
    expect(second.setAside).toMatch(/a\.db\.damaged-\d{8}T\d{6}Z$/)
    expect(readFileSync(second.setAside!)).toEqual(bytes)
    expect(log.errors).toEqual(['store.set_aside'])
    expect(notes(second)).toEqual([])
    add(second, 'works')
    second.close()
    expect(open().setAside).toBeUndefined()
  })

  test('a healthy log left by SIGKILL is replayed', async () => {
    await killedAfter(`store.run("INSERT INTO note (text) VALUES ('kept')")`)
    expect(statSync(join(folder, 'a.db-wal')).size).toBeGreaterThan(0)
    const store = open()
    expect(store.setAside).toBeUndefined()
    expect(notes(store)).toEqual(['kept'])
  })

  test('a backup copied over the file of a killed process is not mixed with the old log', async () => {
    const backup = join(folder, 'backup.db')
    await killedAfter(`
      store.run("INSERT INTO note (text) VALUES ('in the backup')")
      await store.backup(${JSON.stringify(backup)})
      store.run("UPDATE note SET text = 'after the backup'")
      store.run("INSERT INTO note (text) VALUES ('after the backup')")`)
    copyFileSync(backup, join(folder, 'a.db'))
    expect(statSync(join(folder, 'a.db-wal')).size).toBeGreaterThan(0)
    const log = recordingLog()
    const store = open({ log })
    expect(notes(store)).toEqual(['in the backup'])
    expect(log.errors).toEqual(['store.log_set_aside'])
    expect(existsSync(`${store.setAside}-wal`)).toBe(true)
    store.close()
    const again = open()
    expect([again.setAside, notes(again)]).toEqual([undefined, ['in the backup']])
  })

  test('while a reader keeps the old log, no mark is remembered, so that the log is not taken for foreign', async () => {
    add(open(), 'one')
    opened.pop()!.close()
    const reader = new DatabaseSync(join(folder, 'a.db'), { readOnly: true })
    reader.exec('BEGIN; SELECT * FROM note')
    const log = recordingLog()
    add(open({ log, busyTimeoutMs: 10 }), 'two')
    expect(log.warnings).toEqual(['store.unmarked'])
    expect(existsSync(join(folder, 'a.db-mark'))).toBe(false)
    reader.close()
  })

  test('a log whose file was deleted is set aside too', async () => {
    await killedAfter(`store.run("INSERT INTO note (text) VALUES ('gone')")`)
    rmSync(join(folder, 'a.db'))
    const store = open()
    expect(store.setAside).toBeDefined()
    expect(notes(store)).toEqual([])
  })
})

describe('use', () => {
  test('a transaction that throws leaves nothing', () => {
    const store = open()
    const fail = (): never => {
      throw new Error('stop')
    }
    expect(() => store.transaction(() => (add(store, 'lost'), fail()))).toThrow('stop')
    expect(store.transaction(() => add(store, 'kept'))).toBe(1)
    expect(notes(store)).toEqual(['kept'])
  })

  test('what SQLite refuses is a fault', () => {
    const store = open()
    expect(() => store.run('INSERT INTO note (id, text) VALUES (?, ?)', 1, null)).toThrow(
      expect.objectContaining({ code: 'store.constraint', kind: 'conflict' }),
    )
    expect(() => store.all('SELECT * FROM nowhere')).toThrow(expect.objectContaining({ code: 'store.failed' }))
  })

  test('a backup is whole, stands alone and is private', async () => {
    const store = open()
    for (let index = 0; index < 2_000; index++) add(store, `note ${index}`)
    const to = join(folder, 'backups', 'b.db')
    const done = store.backup(to)
    add(store, 'while it runs')
    await done
    expect(readdirSync(join(folder, 'backups'))).toEqual(['b.db'])
    expect(statSync(to).mode & 0o777).toBe(0o600)
    expect(notes(open({ path: to })).length).toBeGreaterThanOrEqual(2_000)
  })
})

describe('the lock of a folder', () => {
  test('one holder in a process; a released lock can be taken', () => {
    const lock = lockFolder(folder)
    expect(() => lockFolder(folder)).toThrow(expect.objectContaining({ code: 'store.locked', details: { folder } }))
    using other = lockFolder(folder, 'ledger')
    expect(other).toBeDefined()
    lock.release()
    lockFolder(folder).release()
  })

  const holder = `
    import { lockFolder } from ${JSON.stringify(join(import.meta.dirname, 'lock.ts'))}
    try {
      globalThis.held = lockFolder(process.argv[1])
      process.stdout.write('held')
      setInterval(() => {}, 1000)
    } catch (fault) {
      process.stdout.write(fault.code)
    }`
  const startHolder = (): ChildProcess =>
    spawn(process.execPath, ['--input-type=module', '-e', holder, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  const said = async (child: ChildProcess): Promise<string> => ((await once(child.stdout!, 'data')) as [Buffer])[0].toString()

  test('one holder among processes, and SIGKILL lets go', async () => {
    const child = startHolder()
    expect(await said(child)).toBe('held')
    expect(() => lockFolder(folder)).toThrow(expect.objectContaining({ code: 'store.locked', kind: 'conflict' }))
    child.kill('SIGKILL')
    await once(child, 'exit')
    lockFolder(folder).release()
  })

  test('a second try in the same process does not weaken the lock for others', async () => {
    using lock = lockFolder(folder)
    expect(lock).toBeDefined()
    expect(() => lockFolder(folder)).toThrow('another process')
    const child = startHolder()
    const answer = await said(child)
    child.kill('SIGKILL')
    expect(answer).toBe('store.locked')
    expect(statSync(join(folder, 'fairlead.lock')).mode & 0o777).toBe(0o600)
  })
})
