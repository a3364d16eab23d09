// G22: an incident bundle of a real gate is verified by somebody else, with our command and with `sha256sum` alone, and holds no credential, planted ones included.
import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, cpSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { temporaryFolder } from './bed.ts'
import { type StageBed, consoleOf, gateIn, stageBed } from './stage-bed.ts'

let bed: StageBed
let folder: string

beforeAll(async () => {
  bed = await stageBed()
  folder = join(temporaryFolder(), 'given')
  expect((await consoleOf(bed)('smoke')).code).toBe(0)
  keep()
}, 120_000)
afterAll(cleanUp)

const verify = (at: string) => gateIn({ folder: bed.folder, env: {} }, 'bundle', '--verify', at, '--json')
const textsIn = (at: string): string[] =>
  readdirSync(at, { recursive: true, encoding: 'utf8' })
    .map((file) => join(at, file))
    .filter((file) => statSync(file).isFile())
    .map((file) => readFileSync(file, 'latin1'))

test('it holds receipts, ledgers and how things stand; its manifest is in the ledger; somebody else verifies it', async () => {
  const ended = await consoleOf(bed)('bundle', 'INC-7', '--json')
  expect(ended.code).toBe(0)
  const { folder: made, manifest_sha256: sha256 } = JSON.parse(ended.stdout) as { folder: string; manifest_sha256: string }
  expect(readFileSync(join(bed.logs, 'stage_b_receipts.jsonl'), 'utf8')).toContain(sha256)
  cpSync(made, folder, { recursive: true })
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  for (const name of ['manifest.json', 'doctrine.json', 'gate.json', 'stage_b_rotation_drills.jsonl', 'stage_b_receipts.jsonl'])
    expect(files).toContain(name)
  expect(files.some((name) => name.endsWith('stage_b3_connector_rotation/summary.json'))).toBe(true)
  expect(files.filter((name) => name.includes('incidents'))).toEqual([])
  execFileSync('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], { cwd: folder })
  const verdict = await verify(folder)
  expect([verdict.code, JSON.parse(verdict.stdout)]).toMatchObject([0, { intact: true, manifest_sha256: sha256, problems: [] }])
  expect(textsIn(folder).join('\n')).not.toContain(bed.token)
  expect((await consoleOf(bed)('smoke')).code).toBe(0) // the doctrine goes on with bundles beside it
})

test('what was changed, taken away or added is named', async () => {
  const broken = async (change: (at: string) => void) => {
    const at = join(temporaryFolder(), 'broken')
    cpSync(folder, at, { recursive: true })
    change(at)
    const { code, stdout } = await verify(at)
    return [code, (JSON.parse(stdout) as { problems: { file: string }[] }).problems[0]!.file]
  }
  expect(await broken((at) => appendFileSync(join(at, 'gate.json'), ' '))).toEqual([1, 'gate.json'])
  expect(await broken((at) => rmSync(join(at, 'doctrine.json')))).toEqual([1, 'doctrine.json'])
  expect(await broken((at) => writeFileSync(join(at, 'more.txt'), ''))).toEqual([1, 'more.txt'])
  expect(await broken((at) => writeFileSync(join(at, 'manifest.json'), '{"files":[{"path":"../x","sha256":"y"}]}'))).toEqual([1, '../x'])
  expect((await verify(temporaryFolder())).code).toBe(1)
  expect((await consoleOf(bed)('bundle')).code).toBe(2)
  expect((await consoleOf(bed)('bundle', '../x')).code).toBe(2)
})

test('a planted credential does not get in, and the bundle says that there was one', async () => {
  const planted = `flc_${'s'.repeat(43)}`
  writeFileSync(join(bed.logs, 'notes.txt'), `${bed.token} and ${planted} \u00e4`)
  const { stdout } = await consoleOf(bed)('bundle', 'INC-8', '--json')
  rmSync(join(bed.logs, 'notes.txt'))
  const { folder: made } = JSON.parse(stdout) as { folder: string }
  expect(readFileSync(join(made, 'notes.txt'), 'utf8')).toBe('[redacted] and [redacted] \u00e4')
  expect(textsIn(made).join('\n')).not.toMatch(new RegExp(`${bed.token}|${planted}`))
  expect(JSON.parse((await verify(made)).stdout)).toMatchObject({ intact: false, problems: [{ file: 'notes.txt' }] })
  expect(spawnSync('grep', ['-rl', bed.token, bed.logs], { encoding: 'utf8' }).stdout).toBe('')
})

test('a gate that is down is no obstacle', async () => {
  await bed.gate.stop('SIGKILL')
  const ended = await consoleOf(bed)('bundle', 'INC-9', '--json')
  expect(ended.code).toBe(0)
  const { folder: made } = JSON.parse(ended.stdout) as { folder: string }
  expect(readFileSync(join(made, 'gate.json'), 'utf8')).toContain('gate.gateway_unreachable')
  expect((await verify(made)).code).toBe(0)
})
