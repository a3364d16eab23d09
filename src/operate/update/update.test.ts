// Updates on a machine in a folder, with real processes as its services: only what was signed is taken, and a stop at any moment leaves the old release or the new one, running.
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { later } from '../../../test/kit/cleanup.ts'
import { atEveryPoint, runKilled } from '../../../test/kit/kill-points.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { units } from '../installation.ts'
import { keepServices, livingProgram, processUnits, running } from '../units.fixture.ts'
import type { Work } from './engine.fixture.ts'
import { Releases } from './releases.ts'
import { openRelease, signRelease } from './release.ts'
import { type PackedFile, packTarball, unpackTarball } from './tarball.ts'
import { readVersion, writeVersion } from './version-file.ts'
import { compareVersions, newestFirst } from './version.ts'

const key = createIdentity()
const trust = { signers: [key.peerId], package: 'fairlead' }
const packed = (version: string, more: readonly PackedFile[] = []): readonly PackedFile[] => [
  { path: 'package.json', bytes: Buffer.from(JSON.stringify({ name: 'fairlead', version })), isExecutable: false },
  { path: 'bin/fairlead', bytes: Buffer.from(livingProgram), isExecutable: true },
  ...more,
]
const signed = async (version: string): Promise<readonly PackedFile[]> => (await signRelease(key, packed(version))).files

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-update-'))
  later(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

describe('what is taken as a release', () => {
  test('all that was signed and nothing else, by a key that is trusted', async () => {
    const files = await signed('0.2.0')
    expect(openRelease(unpackTarball(packTarball(files)), trust)).toMatchObject({ version: '0.2.0', signer: key.peerId })
    const other = createIdentity()
    const changed = (path: string, change: (file: PackedFile) => PackedFile): readonly PackedFile[] =>
      files.map((file) => (file.path === path ? change(file) : file))
    for (const [found, words] of [
      [packed('0.2.0'), 'not signed'],
      [(await signRelease(other, files)).files, 'whom nobody trusts'],
      [
        changed('bin/fairlead', (file) => ({ ...file, bytes: Buffer.from('#!/bin/sh\nrm -rf /\n') })),
        'bin/fairlead is not what was signed',
      ],
      [changed('bin/fairlead', (file) => ({ ...file, isExecutable: false })), 'another mode'],
      [changed('package.json', (file) => ({ ...file, isExecutable: true })), 'another mode'],
      [
        changed('release.json', (file) => ({ ...file, bytes: Buffer.from(Buffer.from(file.bytes).toString().replace('0.2.0', '0.3.0')) })),
        'does not fit',
      ],
      [changed('release.sig', (file) => ({ ...file, bytes: Buffer.from(`${key.peerId} ${'A'.repeat(86)}\n`) })), 'does not fit'],
      [changed('release.sig', (file) => ({ ...file, bytes: Buffer.from('nonsense') })), 'cannot be read'],
      [[...files, { path: 'dist/more.js', bytes: Buffer.from(''), isExecutable: false }], 'dist/more.js is not what was signed'],
      [[...files, { path: 'constructor', bytes: Buffer.from(''), isExecutable: false }], 'constructor is not what was signed'],
      [files.filter(({ path }) => path !== 'bin/fairlead'), 'bin/fairlead is missing'],
    ] as const)
      expect(() => openRelease(found, trust), words).toThrow(words)
    expect(() => openRelease(files, { ...trust, signers: [] })).toThrow('whom nobody trusts')
    expect(() => openRelease(files, { ...trust, package: 'other' })).toThrow('a release of fairlead, not of other')
  })

  test('a tarball as tar makes it, of plain files under plain names; ours is read by tar', () => {
    const folder = newFolder()
    mkdirSync(join(folder, 'package/bin'), { recursive: true })
    writeFileSync(join(folder, 'package/bin/fairlead'), livingProgram, { mode: 0o755 })
    const tar = (...words: string[]): Uint8Array => execFileSync('tar', ['-czf', '-', '--format=ustar', '-C', folder, ...words])
    const files = unpackTarball(tar('package/bin/fairlead'))
    expect(files.map(({ path, bytes, isExecutable }) => [path, Buffer.from(bytes).toString(), isExecutable])).toEqual([
      ['bin/fairlead', livingProgram, true],
    ])
    const long = { path: `${'d'.repeat(90)}/${'f'.repeat(90)}`, bytes: Buffer.from('long'), isExecutable: false }
    expect(unpackTarball(packTarball([...files, long]))[1]?.path).toBe(long.path)
    expect(execFileSync('tar', ['-xzOf', '-', `package/${long.path}`], { input: packTarball([long]) }).toString()).toBe('long')
    symlinkSync('/etc/passwd', join(folder, 'package/link'))
    writeFileSync(join(folder, 'outside'), '')
    for (const [bytes, words] of [
      [tar('package/link'), 'no plain file'],
      [tar('outside'), 'is named "outside"'],
      [tar('--transform=s,outside,package/../../outside,', 'outside'), 'is named'],
      [tar('--transform=s,outside,package//x,', 'outside'), 'is named'],
      [packTarball([...files, ...files]), 'twice'],
      [Buffer.from('nonsense'), 'not gzip'],
      [packTarball(files).subarray(0, 60), 'damaged'],
    ] as const)
      expect(() => unpackTarball(bytes), words).toThrow(words)
  })

  test('whatever bytes there are, they are refused or read, and nothing else', async () => {
    const whole = packTarball(await signed('0.2.0'))
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }), (changes) => {
        const bytes = Uint8Array.from(whole)
        for (const [at, value] of changes) bytes[at] = value
        try {
          openRelease(unpackTarball(bytes), trust)
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^update\./)
        }
      }),
    )
  })

  test('the newest is the newest', () => {
    const ordered = [
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '1.0.1',
      '1.2.0',
      '1.10.0',
      '2.0.0',
    ]
    expect(newestFirst([...ordered].sort())).toEqual(ordered.toReversed())
    for (const [at, one] of ordered.entries()) expect(compareVersions(one, ordered[at]!)).toBe(0)
    expect(newestFirst(['01.0.0', '1.0', '../1.0.0', '1.0.0+build', 'latest'])).toEqual([])
  })
})

test("version.json: the runbook's, written by hand, is understood; its owner stays; what is none is refused", () => {
  const folder = newFolder()
  const path = join(folder, 'version.json')
  expect(readVersion(folder)).toBeUndefined()
  const byHand =
    '{\n  "current_version": "1.0.0",\n  "previous_good_version": null,\n  "last_update": {\n    "status": "rolled_back",\n    "timestamp": "2026-01-01T00:00:00+00:00"\n  }\n}\n'
  writeFileSync(path, byHand, { mode: 0o644 })
  const state = readVersion(folder)!
  writeVersion(folder, state)
  expect([readFileSync(path, 'utf8'), lstatSync(path).mode & 0o777]).toEqual([byHand, 0o644])
  for (const text of ['{', 'null', '{}', '{"current_version":"../1.0.0"}', '{"current_version":"1.0.0","previous_good_version":7}']) {
    writeFileSync(path, text)
    expect(() => readVersion(folder), text).toThrow(path)
  }
})

type Machine = { readonly folder: string; readonly run: (at: number, work?: Partial<Work>) => Promise<number | null> }

/** A machine whose release is 0.1.0, with 0.0.9 kept, and with both services running. */
async function machine(work: Partial<Work> = {}): Promise<Machine> {
  const folder = newFolder()
  const releases = new Releases(folder)
  mkdirSync(join(folder, 'releases'))
  for (const version of ['0.0.9', '0.1.0']) releases.place(openRelease(await signed(version), trust))
  releases.point('0.1.0')
  writeVersion(folder, { current_version: '0.1.0', previous_good_version: '0.0.9', last_update: { status: 'installed', timestamp: '' } })
  const tarball = join(folder, 'new.tgz')
  writeFileSync(tarball, packTarball(await signed('0.2.0')))
  later(keepServices(folder))
  const fixture = join(import.meta.dirname, 'engine.fixture.ts')
  const run: Machine['run'] = (at, more) =>
    runKilled([
      fixture,
      folder,
      String(at),
      JSON.stringify({ do: 'update', tarball, signers: trust.signers, ...work, ...more } satisfies Work),
    ])
  for (const unit of units) await processUnits(folder).restart(unit)
  return { folder, run }
}

/** All that can be seen from outside. */
function seen(folder: string) {
  const told = JSON.parse(readFileSync(join(folder, 'version.json'), 'utf8')) as {
    current_version: string
    last_update: { status: string }
  }
  return {
    link: readlinkSync(join(folder, 'current')),
    runs: running(folder).map(({ version }) => version),
    told: told.current_version,
    status: told.last_update.status,
    kept: readdirSync(join(folder, 'releases')).sort(),
    left: ['staging/update.plan.json', 'staging/engine', 'staging/release.tgz'].filter((path) =>
      lstatSync(join(folder, path), { throwIfNoEntry: false }),
    ),
  }
}
const standing = (version: string, status: string, kept: readonly string[]) => ({
  link: `releases/${version}`,
  runs: [version, version],
  told: version,
  status,
  kept,
  left: [],
})

describe('killed at each moment, it comes to its end when it is begun again', { timeout: 240_000 }, () => {
  const isLong = process.env['FAIRLEAD_LONG'] !== undefined
  // of those that share their steps with the first, some moments always, and each of them in the long run
  test.for([
    ['a good release runs in the end, and surplus ones are gone', { do: 'update' }, 1, 0, standing('0.2.0', 'success', ['0.1.0', '0.2.0'])],
    [
      'a release that is not well is gone, and the one before runs',
      { do: 'update', isWell: false },
      5,
      1,
      standing('0.1.0', 'rolled_back', ['0.0.9', '0.1.0']),
    ],
    ['the way back is as safe as the way there', { do: 'rollback' }, 6, 0, standing('0.0.9', 'rolled_back', ['0.0.9', '0.1.0'])],
  ] as const)('%s', async ([, work, every, code, end]) => {
    const stride = isLong ? 1 : every
    const points = await atEveryPoint(async (round) => {
      const at = round * stride
      const { folder, run } = await machine(work)
      const first = await run(at)
      // killed after its very end, there is nothing to go on with: what is begun then is another change, or is refused
      const isOver = first === null && !existsSync(join(folder, 'staging/update.plan.json'))
      const last = first === null && !isOver ? await run(-1) : first
      const found = seen(folder)
      expect([at, last ?? code, { ...found, left: isOver ? [] : found.left }]).toEqual([at, code, end])
      return { wasKilled: first === null }
    })
    expect(points * stride).toBeGreaterThan(12)
  })
})

test.for([
  [true, 0, standing('0.2.0', 'success', ['0.1.0', '0.2.0'])],
  [false, 1, standing('0.1.0', 'rolled_back', ['0.0.9', '0.1.0'])],
] as const)('services that were stopped are started for the proof, and are stopped again (well: %s)', async ([isWell, code, end]) => {
  const { folder, run } = await machine({ isWell })
  for (const { pid } of running(folder)) process.kill(-pid, 'SIGKILL')
  await expect.poll(() => running(folder)).toEqual([])
  expect(await run(-1)).toBe(code)
  expect(seen(folder)).toEqual({ ...end, runs: [] })
})

test('what nobody trusts changes nothing: not the link, not the services, not a file', async () => {
  const { folder, run } = await machine({ signers: [createIdentity().peerId] })
  const before = running(folder)
  expect(await run(-1)).toBe(2)
  expect(running(folder)).toEqual(before)
  expect(seen(folder)).toEqual(standing('0.1.0', 'installed', ['0.0.9', '0.1.0']))
})

test('an older signed release under the name of a newer one, and a version.json that cannot be read, change nothing and leave nothing unfinished', async () => {
  const { folder, run } = await machine({ wanted: '0.3.0' })
  expect(await run(-1)).toBe(2)
  expect(seen(folder)).toEqual(standing('0.1.0', 'installed', ['0.0.9', '0.1.0']))
  const version = readFileSync(join(folder, 'version.json'))
  writeFileSync(join(folder, 'version.json'), '{ "current_version": "0.1.0", }')
  expect(await run(-1, { wanted: '0.2.0' })).toBe(2)
  expect(existsSync(join(folder, 'staging/update.plan.json'))).toBe(false)
  writeFileSync(join(folder, 'version.json'), version)
  expect(seen(folder)).toEqual(standing('0.1.0', 'installed', ['0.0.9', '0.1.0']))
  expect(await run(-1, { wanted: '0.2.0' })).toBe(0)
})
