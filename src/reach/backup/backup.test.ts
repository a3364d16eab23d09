// Proves on real files that a backup is of one moment while others write, and that a restore is whole or nothing, wherever it is cut off.
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { ageOpen } from '../../base/identity/age.ts'
import { createWallet, loadWallet, readWalletCard } from '../../base/identity/wallet.ts'
import { verifyLedger } from '../../base/ledger/verify.ts'
import { openSqliteKv } from '../../base/kv/sqlite.ts'
import { systemClock as clock } from '../../kernel/clock.ts'
import { Fault } from '../../kernel/fault.ts'
import { Secret } from '../../kernel/secret.ts'
import { createLog } from '../../kernel/log.ts'
import { maxBackupBytes, makeBackup, openBackup } from './backup.ts'
import { type ArchiveFile, packTar, unpackTar } from './tar.ts'
import { addToHistory } from '../history.ts'
import { homeIn } from '../home.ts'
import { finishRestore, lockBackup, restoreHome } from './restore.ts'

const root = mkdtempSync(join(tmpdir(), 'backup-'))
afterAll(() => rmSync(root, { recursive: true }))
const log = createLog(
  () => {},
  () => 0,
  'error',
)
let count = 0

async function home(name: string, more: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = join(root, `home-${++count}`)
  await createWallet(join(folder, 'wallet.json'), { name })
  for (const [file, text] of Object.entries(more)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), text)
  }
  return folder
}
const cardOf = (folder: string) => readWalletCard(join(folder, 'wallet.json'))!
const backUp = (folder: string) => makeBackup(folder, cardOf(folder), clock.now())
const namesIn = async (folder: string): Promise<string[]> => (await backUp(folder)).manifest.files.map(({ name }) => name)

/** All files below the folder that a restore does not leave where they are. */
function contentOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
  const kept = paths.filter((path) => !/^(?:before-|\.)|\.lock$/.test(path))
  return Object.fromEntries(kept.map((path) => [path, readFileSync(join(folder, path), 'latin1')]))
}

describe('a backup', () => {
  test('holds all that belongs to the identity, and not what passes; what it cannot hold it names', async () => {
    const folder = await home('A', {
      'registries.json': '{}',
      'inbox/1.json': '1',
      'wallet.json.20260101T000000.000Z': 'old',
      'my peers.txt': 'x',
      'host.lock': '',
      '.x.tmp': '',
      'seen.db-wal.partial': '',
      'downloads/big': 'x',
      'before-x/wallet.json': 'x',
      'a.age': 'x',
      'seen.db.damaged-1': 'x',
    })
    symlinkSync('/etc/passwd', join(folder, 'link'))
    const { manifest } = await backUp(folder)
    expect(manifest.files.map(({ name }) => name)).toEqual([
      'inbox/1.json',
      'my peers.txt',
      'registries.json',
      'wallet.json',
      'wallet.json.20260101T000000.000Z',
    ])
    expect(manifest.leftOut).toEqual([{ name: 'link', problem: 'it is no plain file' }])
    expect(readdirSync(folder).filter((name) => name.startsWith('.backup'))).toEqual([])
  })

  test('is of one moment while messages come: its history is intact, and its memory knows every message in it', async () => {
    const folder = await home('A')
    const own = homeIn(folder)
    const kv = openSqliteKv({ path: own.seen, clock, log })
    const seen = kv.bucket('messages')
    const stop = new AbortController()
    const writing = (async () => {
      for (let i = 0; !stop.signal.aborted; i++) {
        const id = `id-${String(i).padStart(20, '0')}`
        await seen.create(id, new Uint8Array())
        await addToHistory({ clock, log }, own, { event: 'received', peer: 'p', id, message: 'm' })
      }
    })()
    await expect.poll(() => contentOf(folder)['blockchain.json']?.split('\n').length ?? 0, { timeout: 20_000 }).toBeGreaterThan(5)
    const backups = []
    for (let i = 0; i < 5; i++) backups.push(openBackup((await backUp(folder)).archive))
    stop.abort()
    await writing
    await kv.close()
    for (const { files } of backups) {
      const at = join(root, `copy-${++count}`)
      mkdirSync(at)
      for (const { name, bytes } of files) writeFileSync(join(at, name), bytes)
      expect(await verifyLedger(at, { file: 'blockchain.json', origin: 'fairlead/messages' })).toMatchObject({
        intact: true,
        torn: [],
        gaps: [],
      })
      const copy = openSqliteKv({ path: join(at, 'seen.db'), clock, log })
      const ids = readFileSync(join(at, 'blockchain.json'), 'utf8').matchAll(/"id":"(id-\d+)"/g)
      for (const [, id] of ids) expect(await copy.bucket('messages').get(id!)).toBeDefined()
      await copy.close()
    }
  }, 60_000)

  test('ends a ledger at a whole line, and leaves a damaged database out rather than fail', async () => {
    const folder = await home('A', { 'seen.db': `SQLite format 3\0${'x'.repeat(5_000)}` })
    await addToHistory({ clock, log }, homeIn(folder), { event: 'sent', peer: 'p', id: 'i', message: 'm' })
    const whole = readFileSync(join(folder, 'blockchain.json'), 'utf8')
    writeFileSync(join(folder, 'blockchain.json'), `${whole}{"seq":3,"ti`)
    const { files, manifest } = openBackup((await backUp(folder)).archive)
    expect(Buffer.from(files.find(({ name }) => name === 'blockchain.json')!.bytes).toString()).toBe(whole)
    expect(manifest.leftOut).toMatchObject([{ name: 'seen.db' }])
  })

  test('has a limit', async () => {
    const folder = await home('A')
    writeFileSync(join(folder, 'big'), Buffer.alloc(maxBackupBytes + 1))
    await expect(backUp(folder)).rejects.toMatchObject({ code: 'reach.backup_too_large' })
  })
})

describe('an archive is refused', () => {
  const refused = (files: readonly ArchiveFile[]) =>
    expect(() => openBackup(packTar(files))).toThrow(expect.objectContaining({ code: 'reach.backup_invalid' }))
  test('when a file is changed, missing, added, moved, of no identity, or when its list is none', async () => {
    const { archive } = await backUp(await home('A', { 'registries.json': '{"a":1}', 'inbox/1.json': '1' }))
    const files = unpackTar(archive)
    const [first, ...rest] = files
    expect(() => openBackup(packTar(files))).not.toThrow()
    refused(files.map((file) => (file.name === 'registries.json' ? { ...file, bytes: Buffer.from('{"a":2}') } : file)))
    refused(files.slice(0, -1))
    refused([...files, { name: 'more', bytes: Buffer.from('x'), modifiedAt: 0 }])
    refused([first!, ...rest.toReversed()])
    refused(rest)
    for (const text of [
      '',
      '[]',
      'null',
      '{"backup":2}',
      '{"backup":1,"files":[]}',
      '{"backup":1,"madeAt":"x","name":"x","peerId":"x","files":[null],"leftOut":[]}',
    ])
      refused([{ ...first!, bytes: Buffer.from(text) }, ...rest])
    const other = await home('B')
    const foreign = { manifest: { ...openBackup(archive).manifest, peerId: cardOf(other).peerId }, files: rest }
    const target = join(root, `home-${++count}`)
    mkdirSync(target)
    expect(() => restoreHome(target, foreign, 0)).toThrow(expect.objectContaining({ code: 'reach.backup_invalid' }))
    finishRestore(target)
    expect(contentOf(target)).toEqual({})
  })
})

describe('a restore', () => {
  test('puts everything back, and keeps all that was there', async () => {
    const [from, to] = [await home('A', { 'inbox/1.json': '1' }), await home('B', { 'inbox/2.json': '2', 'downloads/x': 'x' })]
    const [wanted, was] = [contentOf(from), contentOf(to)]
    const { keptAside } = restoreHome(to, openBackup((await backUp(from)).archive), 0)
    expect(contentOf(to)).toEqual({ ...wanted, 'downloads/x': 'x' })
    expect({ ...contentOf(keptAside!), 'downloads/x': 'x' }).toEqual(was)
    expect(readdirSync(to).filter((name) => name.startsWith('.'))).toEqual([])
    expect(await namesIn(to)).toEqual(['inbox/1.json', 'wallet.json'])
  })

  test.each([
    ['a new machine', false],
    ['over another identity', true],
  ])('%s: stopped before any of its steps, the next command finds the old home or the new one, whole', async (_, isOver) => {
    const backup = openBackup((await backUp(await home('A', { 'inbox/1.json': '1', 'registries.json': '{}' }))).archive)
    const wanted = Object.fromEntries(backup.files.map(({ name, bytes }) => [name, Buffer.from(bytes).toString('latin1')]))
    let steps = 0
    for (let stopAt = 1; ; stopAt++) {
      const folder = isOver ? await home('B', { 'inbox/2.json': '2', 'history.json': 'x' }) : join(root, `home-${++count}`)
      mkdirSync(folder, { recursive: true })
      const was = contentOf(folder)
      let step = 0
      const move = (source: string, target: string): void => {
        if (++step === stopAt) throw new Error('stopped')
        renameSync(source, target)
      }
      try {
        restoreHome(folder, backup, 0, move)
        steps = step
        break
      } catch (error) {
        expect(error).toMatchObject({ message: 'stopped' })
      }
      finishRestore(folder)
      finishRestore(folder)
      const isNew = stopAt > 1
      expect(contentOf(folder), `stopped before step ${stopAt}`).toEqual(isNew ? wanted : was)
      const before = readdirSync(folder).find((name) => name.startsWith('before-'))
      expect(before === undefined ? {} : contentOf(join(folder, before))).toEqual(isNew ? was : {})
      restoreHome(folder, backup, 1)
      expect(contentOf(folder)).toEqual(wanted)
      expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([])
    }
    expect(steps).toBe(isOver ? 9 : 5)
  })

  test('under way is told to who comes meanwhile', async () => {
    const folder = await home('A')
    mkdirSync(join(folder, '.restore'))
    using _ = lockBackup(folder)
    expect(() => finishRestore(folder)).toThrow(expect.objectContaining({ code: 'reach.restore_under_way' }))
  })
})

describe('spec/backup.md', () => {
  type Says = { name: string; peerId: string; files: string[] }
  type Vectors = {
    wallets: { name: string; file: string; passphrase?: string; seed: string }[]
    sealed: { key: string; age: string; says: Says }
    archives: { name: string; gzip: string; outcome: 'opened' | 'refused'; says?: Says }[]
  }
  const path = join(import.meta.dirname, '../../../spec/vectors/backup/cases.json')
  const { wallets, sealed, archives } = JSON.parse(readFileSync(path, 'utf8')) as Vectors
  const target = (): string => {
    const folder = join(root, `home-${++count}`)
    mkdirSync(folder)
    return folder
  }
  const judged = (archive: Uint8Array): object => {
    try {
      const backup = openBackup(archive)
      restoreHome(target(), backup, 0)
      const { name, peerId, files } = backup.manifest
      return { outcome: 'opened', says: { name, peerId, files: files.map((file) => file.name) } }
    } catch (error) {
      if (error instanceof Fault && error.code === 'reach.backup_invalid') return { outcome: 'refused' }
      throw error
    }
  }
  test.each(archives)('an archive: $name', ({ gzip, outcome, says }) => {
    expect(judged(gunzipSync(Buffer.from(gzip, 'base64')))).toEqual({ outcome, ...(says ? { says } : {}) })
  })
  test('a sealed file', async () => {
    const opened = await ageOpen(Buffer.from(sealed.age, 'base64'), { keys: new Secret(sealed.key) }, 'it')
    expect(judged(opened)).toEqual({ outcome: 'opened', says: sealed.says })
  })
  test.each(wallets)('a wallet: $name', async ({ file, passphrase, seed }) => {
    const wallet = join(target(), 'wallet.json')
    writeFileSync(wallet, file, { mode: 0o600 })
    const { identity } = await loadWallet(wallet, { passphrase: passphrase === undefined ? undefined : new Secret(passphrase) })
    expect(Buffer.from(identity.privateKeyRaw).toString('hex')).toBe(seed)
  })
})
