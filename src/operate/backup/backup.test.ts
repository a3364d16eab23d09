// Backups of a machine in a folder, while real programs write its databases: what is in them, what becomes of old ones, and what a plain copy back finds.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { beforeEach, expect, test } from 'vitest'
import { later } from '../../../test/kit/cleanup.ts'
import { openStore } from '../../base/store/store.ts'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import { type Installation, installationAt } from '../installation.ts'
import { parseAptSimulation } from '../os-updates.ts'
import { preserve, suspicions } from '../incident/preserve.ts'
import { rotateSecrets } from '../incident/rotate.ts'
import { type BackupSettings, takeBackup } from './take.ts'

let installation: Installation
let database: string
let settings: BackupSettings
beforeEach(() => {
  const place = mkdtempSync(join(tmpdir(), 'fairlead-backup-'))
  later(() => rmSync(place, { recursive: true, force: true }))
  installation = installationAt(place)
  for (const path of [installation.root, installation.config, join(installation.state, 'metrics')]) mkdirSync(path, { recursive: true })
  writeFileSync(join(installation.config, 'config.yml'), 'testing: {}\n', { mode: 0o640 })
  writeFileSync(join(installation.config, 'secrets.env'), 'TOKEN=t\n', { mode: 0o600 })
  writeFileSync(join(installation.root, 'version.json'), '{}\n')
  database = join(installation.state, 'metrics/metrics.db')
  settings = { installation, folder: installation.backups, keepDays: 30, recipients: [] }
})

/** A program that wrote that value, and goes on. */
async function writer(value: string): Promise<{ kill(): Promise<void> }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'writer.fixture.ts'), database, value], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  later(kill)
  await once(child.stdout, 'data')
  return { kill }
}
function valueNow(): unknown {
  const store = openStore({ path: database, migrations: ['CREATE TABLE t (value TEXT) STRICT'], log: silentLog, clock: systemClock })
  try {
    return store.get<{ value: string }>('SELECT value FROM t')?.value
  } finally {
    store.close()
  }
}
const needs = { clock: systemClock }
const archives = (): string[] => readdirSync(join(installation.backups, 'mcp-raspi'))
const mode = (path: string): number => statSync(path).mode & 0o777

test("the runbook's layout: an archive and, unpacked, the newest; for nobody else to read; a database that is written meanwhile is whole in it", async () => {
  await writer('old')
  const { path } = await takeBackup(needs, settings)
  expect(path).toMatch(/\/backup\/mcp-raspi\/\d{8}-\d{6}\.tar\.gz$/)
  const listed = execFileSync('tar', ['-tzf', path], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.replace(/^[\d-]+\//, ''))
  expect(listed).toEqual(expect.arrayContaining(['config/config.yml', 'config/secrets.env', 'data/metrics/metrics.db', 'version.json']))
  const latest = join(installation.backups, 'latest')
  expect(readdirSync(latest).sort()).toEqual(['config', 'data', 'version.json'])
  expect([installation.backups, join(installation.backups, 'mcp-raspi'), latest, path].map(mode)).toEqual([0o700, 0o700, 0o700, 0o600])
  expect(readdirSync(join(latest, 'data/metrics'))).toEqual(['metrics.db'])
  expect(execFileSync('tar', ['-xzOf', path, '--wildcards', '*/config/secrets.env'], { encoding: 'utf8' })).toBe('TOKEN=t\n')
  expect(archives()).toEqual(['.backup.lock', path.slice(-22)])
})

test('put back by plain cp over a database whose program was killed, it is what was backed up, not what the log had', async () => {
  const first = await writer('old')
  await takeBackup(needs, settings)
  await first.kill()
  const second = await writer('new')
  await second.kill()
  expect(statSync(`${database}-wal`).size).toBeGreaterThan(0)
  cpSync(join(installation.backups, 'latest/data'), installation.state, { recursive: true })
  expect(valueNow()).toBe('old')
})

test('old archives go, the newest stays, and whatever else lies there too', async () => {
  const base = join(installation.backups, 'mcp-raspi')
  mkdirSync(base, { recursive: true })
  for (const [name, days] of [
    ['20200101-020000.tar.gz', 40],
    ['20200102-020000.tar.gz.age', 31],
    ['20200103-020000.tar.gz', 29],
    ['mine.txt', 400],
  ] as const) {
    writeFileSync(join(base, name), '')
    const at = Date.now() / 1_000 - days * 86_400
    utimesSync(join(base, name), at, at)
  }
  const { path } = await takeBackup(needs, settings)
  expect(archives().sort()).toEqual(['.backup.lock', '20200103-020000.tar.gz', path.slice(base.length + 1), 'mine.txt'])
})

test('sealed, it is for the owner of the key alone: nothing of it lies there unsealed', async () => {
  await takeBackup(needs, settings)
  const keys = execFileSync('age-keygen', { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const recipient = /age1[0-9a-z]+/.exec(keys)![0]
  const { path } = await takeBackup({ clock: { ...systemClock, now: () => Date.now() + 60_000 } }, { ...settings, recipients: [recipient] })
  expect(existsSync(join(installation.backups, 'latest'))).toBe(false)
  expect(readFileSync(path, 'latin1')).not.toContain('TOKEN=t')
  const keyFile = join(installation.root, 'key.txt')
  writeFileSync(keyFile, keys)
  const opened = execFileSync('age', ['--decrypt', '--identity', keyFile, path])
  expect(execFileSync('tar', ['-xzOf', '-', '--wildcards', '*/config/secrets.env'], { input: opened, encoding: 'utf8' })).toBe('TOKEN=t\n')
})

test('one that fails leaves nothing of itself, and the last one as it was', async () => {
  await takeBackup(needs, settings)
  const before = archives()
  await expect(
    takeBackup({ clock: { ...systemClock, now: () => Date.now() + 60_000 } }, { ...settings, recipients: ['age1nonsense'] }),
  ).rejects.toMatchObject({ code: 'age.bad_recipient' })
  expect(archives()).toEqual(before)
  expect(readdirSync(join(installation.backups, 'latest')).sort()).toEqual(['config', 'data', 'version.json'])
})

test('what one that was killed left unpacked is gone with the next; of two at once one is refused', async () => {
  const base = join(installation.backups, 'mcp-raspi')
  mkdirSync(join(base, '20261130-020000/config'), { recursive: true })
  writeFileSync(join(base, '20261130-020000/config/secrets.env'), 'TOKEN=t\n')
  writeFileSync(join(base, '.20261130-020000.partial'), 'half')
  mkdirSync(join(base, 'mine'))
  const both = await Promise.allSettled([takeBackup(needs, settings), takeBackup(needs, settings)])
  expect(both.map((one) => (one.status === 'rejected' ? (one.reason as { code: string }).code : 'done'))).toEqual(['done', 'store.locked'])
  expect(archives().filter((name) => !name.endsWith('.tar.gz'))).toEqual(['.backup.lock', 'mine'])
})

test('a damaged database is no reason to have no backup: it is copied as it is; folders are as open as they were', async () => {
  await (await writer('old')).kill()
  const store = openStore({ path: database, migrations: ['CREATE TABLE t (value TEXT) STRICT'], log: silentLog, clock: systemClock })
  store.close() // its log is gone
  const bytes = readFileSync(database)
  bytes.fill(0x5a, 4_096)
  writeFileSync(database, bytes)
  chmodSync(join(installation.state, 'metrics'), 0o750)
  const { remarks } = await takeBackup(needs, settings)
  expect(remarks).toEqual([{ path: database, remark: expect.stringContaining('copied as it is') as string }])
  const latest = join(installation.backups, 'latest')
  expect(readFileSync(join(latest, 'data/metrics/metrics.db')).equals(bytes)).toBe(true)
  expect(readdirSync(join(latest, 'data/metrics'))).toEqual(['metrics.db'])
  expect(mode(join(latest, 'data/metrics'))).toBe(0o750)
})

test('evidence: what cannot be kept is told, and keeps nothing else from being kept; it goes to no folder that is there', async () => {
  const { logs } = installation
  mkdirSync(join(logs, ...Array.from({ length: 70 }, () => 'd')), { recursive: true }) // as whoever has the server's account may make it
  writeFileSync(join(logs, 'app.log'), '{}\n')
  mkdirSync(`${logs}-agent`)
  writeFileSync(join(`${logs}-agent`, 'agent.log'), '{"event":"permission_denied"}\n')
  const folder = join(installation.root, 'evidence')
  const { remarks } = await preserve(installation, folder)
  expect(remarks.find(({ path }) => path === logs)?.remark).toMatch(/^not kept: /)
  expect(await suspicions(folder)).toMatchObject([{ file: 'agent-logs/agent.log', count: 1 }])
  await expect(preserve(installation, folder)).rejects.toMatchObject({ code: 'operate.folder_taken' })
  rmSync(join(logs, 'd'), { recursive: true })
  execFileSync('truncate', ['--size=8T', join(logs, 'app.log')]) // a hole that would fill the disk
  const second = await preserve(installation, join(installation.root, 'evidence2'))
  expect(second.remarks.find(({ path }) => path === logs)?.remark).toMatch(/^not kept: .*bytes/)
})

test('a link in the data leads a backup nowhere', async () => {
  symlinkSync('/etc/passwd', join(installation.state, 'link'))
  const { path } = await takeBackup(needs, settings)
  expect(execFileSync('tar', ['-tvzf', path], { encoding: 'utf8' })).toMatch(/link -> \/etc\/passwd/)
})

test('credentials get new values by name; the lines of others stay; nobody else can read them', () => {
  const path = join(installation.config, 'secrets.env')
  writeFileSync(path, '# mine\nTOKEN=known\nOTHER=stays\n TOKEN=which systemd would take\n', { mode: 0o644 })
  rotateSecrets(path, ['TOKEN', 'FRESH'])
  expect(readFileSync(path, 'utf8')).toMatch(/^# mine\nTOKEN=[\w-]{43}\nOTHER=stays\nFRESH=[\w-]{43}\n$/)
  expect(mode(path)).toBe(0o600)
})

test('what apt-get would install is read as values', () => {
  const text = `NOTE: This is only a simulation!
Inst base-files [12.4+deb12u5] (12.4+deb12u6 Debian:12.6/stable [amd64])
Inst libnew (1:2.0-1 Debian:12.6/stable, Debian-Security:12/stable-security [arm64])
Inst odd [1] (2)
Conf base-files (12.4+deb12u6 Debian:12.6/stable [amd64])
`
  expect(parseAptSimulation(text)).toEqual([
    { name: 'base-files', from: '12.4+deb12u5', to: '12.4+deb12u6', origin: 'Debian:12.6/stable' },
    { name: 'libnew', to: '1:2.0-1', origin: 'Debian:12.6/stable, Debian-Security:12/stable-security' },
    { name: 'odd', from: '1', to: '2' },
  ])
})
