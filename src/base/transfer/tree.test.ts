// Folders that are taken and put back: the same afterwards; what others do meanwhile, or wrote into a backup, leads nowhere else.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { later } from '../../../test/kit/cleanup.ts'
import { type TreeItem, putTree, takeTree, treeBytes } from './tree.ts'

let root: string
let from: string
let kept: string
let into: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tree-'))
  later(() => {
    execFileSync('chmod', ['-R', 'u+rwx', root])
    rmSync(root, { recursive: true })
  })
  ;[from, kept, into] = ['from', 'kept', 'into'].map((name) => {
    mkdirSync(join(root, name))
    return join(root, name)
  }) as [string, string, string]
})

/** All that a person could tell of a folder. */
function described(folder: string, at = ''): Record<string, unknown> {
  return Object.fromEntries(
    readdirSync(join(folder, at)).flatMap((name) => {
      const path = join(at, name)
      const full = join(folder, path)
      const stat = lstatSync(full)
      const mode = (stat.mode & 0o777).toString(8)
      const seconds = Math.floor(stat.mtimeMs)
      if (stat.isSymbolicLink()) return [[path, readlinkSync(full)]]
      if (!stat.isDirectory()) return [[path, [mode, seconds, stat.size, readFileSync(full, 'base64')]]]
      return [[path, [mode, seconds]], ...Object.entries(described(folder, path))]
    }),
  )
}

const fileAt = (path: string, text = 'x', mode = 0o640): void => {
  mkdirSync(join(from, path, '..'), { recursive: true })
  writeFileSync(join(from, path), text, { mode })
}

test('files, folders, links, modes and times come back as they were, whatever there is', async () => {
  const name = fc.stringMatching(/^[ a-zé.-]{1,12}$/).filter((text) => text !== '.' && text !== '..')
  const thing = fc.record({
    path: fc.array(name, { minLength: 1, maxLength: 4 }),
    is: fc.constantFrom('file', 'folder', 'link'),
    bytes: fc.uint8Array({ maxLength: 2_000 }),
    mode: fc.constantFrom(0o600, 0o644, 0o755, 0o640),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(thing, { maxLength: 12 }), async (things) => {
      for (const folder of [from, kept, into]) {
        rmSync(folder, { recursive: true, force: true })
        mkdirSync(folder)
      }
      for (const { path, is, bytes, mode } of things) {
        const full = join(from, ...path)
        try {
          mkdirSync(join(full, '..'), { recursive: true })
          if (is === 'folder') mkdirSync(full, { mode })
          else if (is === 'link') symlinkSync('/etc/passwd', full)
          else writeFileSync(full, bytes, { mode, flag: 'wx' })
          if (is !== 'link') utimesSync(full, 1_700_000_000, 1_700_000_000 + bytes.length)
        } catch {
          // it clashes with another one
        }
      }
      const { items, remarks } = await takeTree(from, kept)
      expect(remarks).toEqual([])
      await putTree(kept, items, into)
      expect(described(into)).toEqual(described(from))
    }),
    { numRuns: 25 },
  )
})

test('a folder that its owner may not write comes back too', async () => {
  fileAt('a/b')
  chmodSync(join(from, 'a'), 0o500)
  const { items } = await takeTree(from, kept)
  await putTree(kept, items, into)
  expect(described(into)).toEqual(described(from))
})

test('a database that is written meanwhile is copied as it stood at one moment, its own marks untouched, without what lies beside it', async () => {
  const path = join(from, 'a.db')
  const database = new DatabaseSync(path)
  database.exec(
    'PRAGMA journal_mode = wal; PRAGMA application_id = 4711; PRAGMA user_version = 7; CREATE TABLE pair (a INTEGER, b INTEGER); INSERT INTO pair VALUES (0, 0)',
  )
  database.exec('CREATE TABLE fill (x BLOB)')
  for (let n = 0; n < 400; n++) database.exec('INSERT INTO fill VALUES (randomblob(16000))')
  const shared = new Int32Array(new SharedArrayBuffer(4))
  const writer = new Worker(
    `const { workerData } = require('node:worker_threads'); const { DatabaseSync } = require('node:sqlite')
     const database = new DatabaseSync(workerData.path, { timeout: 5000 })
     for (let n = 1; Atomics.load(workerData.shared, 0) >= 0; n++) {
       database.exec('BEGIN; UPDATE pair SET a = ' + n + '; UPDATE fill SET x = randomblob(16000) WHERE rowid = ' + (n % 400 + 1) + '; UPDATE pair SET b = ' + n + '; COMMIT')
       if (Atomics.load(workerData.shared, 0) >= 0) Atomics.store(workerData.shared, 0, n)
     }`,
    { eval: true, workerData: { path, shared } },
  )
  const over = new Promise((resolve) => writer.once('exit', resolve))
  later(async () => {
    Atomics.store(shared, 0, -1) // the writer ends, and with it a copy that always begins anew
    await over
    database.close()
  })
  await expect.poll(() => Atomics.load(shared, 0), { timeout: 10_000 }).toBeGreaterThan(5)
  const before = Atomics.load(shared, 0)
  const taken = await takeTree(from, kept)
  const after = Atomics.load(shared, 0)
  Atomics.store(shared, 0, -1)
  await over
  expect(after).toBeGreaterThan(before) // it was really written meanwhile
  expect(taken.databases).toEqual(['a.db'])
  expect(taken.items.map(({ path: one }) => one)).toEqual(['a.db'])
  await putTree(kept, taken.items, into)
  const copy = new DatabaseSync(join(into, 'a.db'))
  expect(copy.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
  const { a, b } = copy.prepare('SELECT a, b FROM pair').get() as { a: number; b: number }
  expect(a).toBe(b)
  expect(a).toBeGreaterThanOrEqual(before)
  expect(copy.prepare('PRAGMA application_id').get()).toEqual({ application_id: 4711 })
  expect(copy.prepare('PRAGMA user_version').get()).toEqual({ user_version: 7 })
  copy.close()
})

test('a database that rests leaves nothing of ours beside it; one with a rollback journal is copied too', async () => {
  for (const journal of ['wal', 'delete']) {
    const database = new DatabaseSync(join(from, `${journal}.db`))
    database.exec(`PRAGMA journal_mode = ${journal}; CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)`)
    database.close()
  }
  const { databases } = await takeTree(from, kept)
  expect(databases).toEqual(['delete.db', 'wal.db'])
  expect(readdirSync(from)).toEqual(['delete.db', 'wal.db'])
  expect(readdirSync(kept)).toEqual(['delete.db', 'wal.db'])
})

test('a database that its program holds for itself is not copied by halves', async () => {
  const database = new DatabaseSync(join(from, 'a.db'))
  later(() => database.close())
  database.exec('CREATE TABLE t (a INTEGER); BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)')
  await expect(takeTree(from, kept)).rejects.toMatchObject({ code: 'store.busy' })
})

test('what only begins as a database is copied as it is, and told', async () => {
  fileAt('odd.db', `SQLite format 3\0${'garbage'.repeat(1_000)}`)
  const { remarks, items } = await takeTree(from, kept)
  expect(remarks).toMatchObject([{ path: 'odd.db', remark: expect.stringContaining('SQLite cannot read it') }])
  await putTree(kept, items, into)
  expect(readFileSync(join(into, 'odd.db'))).toEqual(readFileSync(join(from, 'odd.db')))
})

test('pipes and names that are no text are left out and told, links are not followed, and nobody waits', async () => {
  execFileSync('mkfifo', [join(from, 'pipe')])
  writeFileSync(Buffer.concat([Buffer.from(`${from}/bad`), Buffer.from([0xff])]), 'x')
  symlinkSync('/etc', join(from, 'etc'))
  const { remarks, items } = await takeTree(from, kept)
  expect(remarks.map(({ remark }) => remark)).toEqual(['left out: its name is no text', 'left out: no file'])
  expect(items).toMatchObject([{ path: 'etc', is: 'link', target: '/etc' }])
  expect(await treeBytes(from)).toBe(0)
})

test('a backup that was tampered with leads nowhere else', async () => {
  const outside = join(root, 'outside')
  mkdirSync(outside)
  writeFileSync(join(outside, 'secret'), 'secret')
  fileAt('a/b', 'good')
  const { items } = await takeTree(from, kept)
  const file = items.find((item) => item.is === 'file')!
  const folder = items.find((item) => item.is === 'folder')!
  const link: TreeItem = { ...folder, is: 'link', path: 'out', target: outside }
  symlinkSync(outside, join(kept, 'out'))
  const cases: readonly (readonly [readonly TreeItem[], string])[] = [
    [[{ ...file, path: '../outside/x' }], 'transfer.outside'],
    [[{ ...file, path: '/etc/x' }], 'transfer.outside'],
    [[{ ...file, path: 'a/../../outside/x' }], 'transfer.outside'],
    [[link, { ...file, path: 'out/secret' }], 'transfer.in_the_way'],
    [
      [
        { ...folder, path: 'out' },
        { ...file, path: 'out/secret' },
      ],
      'transfer.in_the_way',
    ],
    [[folder, { ...file, sha256: 'a'.repeat(64) }], 'transfer.damaged'],
    [[folder, { ...file, path: 'a/none' }], 'transfer.missing'],
    [[folder, file, file], 'transfer.unwritable'],
  ]
  for (const [list, code] of cases) {
    rmSync(into, { recursive: true })
    mkdirSync(into)
    await expect(putTree(kept, list, into), code).rejects.toMatchObject({ code })
  }
  symlinkSync(join(outside, 'secret'), join(kept, 'alias'))
  await expect(putTree(kept, [{ ...file, path: 'alias' }], into)).rejects.toMatchObject({ code: 'transfer.no_file' })
  expect(readdirSync(outside)).toEqual(['secret'])
  expect(existsSync(join(into, 'alias'))).toBe(false)
})
