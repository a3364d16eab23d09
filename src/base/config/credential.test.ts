// Proves that credentials come from where the configuration points, that loose files are refused, and that nothing prints them.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { credential, resolveCredential } from './credential.ts'
import { durationMs } from './duration.ts'

const folder = mkdtempSync(join(tmpdir(), 'credential-'))
afterAll(() => rmSync(folder, { recursive: true }))
const needs = { folder, env: { PATH: process.env['PATH'], TOKEN: 'from-env', EMPTY: '' } }

function file(name: string, content: string, mode: number): { file: string } {
  writeFileSync(join(folder, name), content)
  chmodSync(join(folder, name), mode)
  return { file: name }
}

test('file, environment and command give a Secret that prints as nothing', async () => {
  const fromFile = await resolveCredential(file('good', 's3cret\n', 0o600), needs)
  expect(fromFile.reveal()).toBe('s3cret')
  expect(`${fromFile.toString()} ${JSON.stringify({ fromFile })} ${inspect(fromFile)}`).not.toContain('s3cret')
  expect((await resolveCredential({ env: 'TOKEN' }, needs)).reveal()).toBe('from-env')
  expect((await resolveCredential({ command: ['sh', '-c', 'echo printed'] }, needs)).reveal()).toBe('printed')
})

test.each([0o604, 0o620, 0o666, 0o610])('a file with mode %o is refused', async (mode) => {
  await expect(resolveCredential(file('loose', 'x', mode), needs)).rejects.toMatchObject({ code: 'credential.loose_file' })
})

test('what gives no credential is a fault that does not repeat it', async () => {
  await expect(resolveCredential({ file: 'absent' }, needs)).rejects.toMatchObject({ code: 'credential.no_file' })
  await expect(resolveCredential({ file: '.' }, needs)).rejects.toMatchObject({ code: 'credential.no_file' })
  await expect(resolveCredential(file('empty', '\n', 0o600), needs)).rejects.toMatchObject({ code: 'credential.unfit' })
  await expect(resolveCredential(file('huge', 'x'.repeat(100_000), 0o600), needs)).rejects.toMatchObject({ code: 'credential.unfit' })
  await expect(resolveCredential({ env: 'EMPTY' }, needs)).rejects.toMatchObject({ code: 'credential.no_variable' })
  await expect(resolveCredential({ command: ['no-such-program-here'] }, needs)).rejects.toMatchObject({ code: 'exec.not_found' })
  const failed: unknown = await resolveCredential({ command: ['sh', '-c', 'echo leaked; echo leaked >&2; exit 3'] }, needs).catch(
    (error: unknown) => error,
  )
  expect(failed).toMatchObject({ code: 'credential.command_failed', details: { exitCode: 3 } })
  expect(JSON.stringify(failed)).not.toContain('leaked')
})

test('the schema takes the three ways and nothing else', () => {
  for (const good of [{ file: 'x' }, { env: 'X_1' }, { command: ['a', 'b'] }]) expect(credential.safeParse(good).success).toBe(true)
  for (const bad of [
    'text',
    '',
    1,
    null,
    {},
    { file: '' },
    { file: 'a\0b' },
    { env: '1X' },
    { command: [] },
    { command: 'ls' },
    { file: 'x', env: 'Y' },
  ]) {
    expect(credential.safeParse(bad).success).toBe(false)
  }
})

test('durations', () => {
  expect(['250ms', '30s', '5m', '1h30m', '7d', '0s'].map(durationMs)).toEqual([250, 30_000, 300_000, 5_400_000, 604_800_000, 0])
  expect(['', '30', 's', '1 s', '-1s', '1.5s', '1s ', '1y', '9'.repeat(100)].map(durationMs)).toEqual(Array(9).fill(undefined))
})
