// A service that is called after the agent's own folder gets nowhere near its tokens and keys.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { later } from '../../../test/kit/cleanup.ts'
import { fileHandlers } from './operations.ts'

test('nothing is pushed to the folder of the agent, and nothing pulled from it', async () => {
  const services = mkdtempSync(join(tmpdir(), 'own-'))
  later(() => rmSync(services, { recursive: true }))
  const folder = join(services, 'mcp')
  const node = { known: { one: async () => ({}) }, registry: { note: () => {} } }
  const handlers = fileHandlers(node as never, { services, folder })
  const call = { caller: { name: 'ann', via: 'token' }, signal: AbortSignal.timeout(5_000), say: async () => {} } as const
  const upload = (async function* () {
    yield Buffer.from('{}')
  })()
  const input = { service: 'mcp', path: 'tokens.json' }
  await expect(
    handlers['push-file']({ ...input, sizeBytes: 2, sha256: 'a'.repeat(64), mode: 0o600 }, { ...call, upload }),
  ).rejects.toMatchObject({ code: 'run.own_folder' })
  expect(readdirSync(services)).toEqual([])
  writeFileSync(join(services, 'x'), '')
  await expect(handlers['pull-file'](input, call)).rejects.toMatchObject({ code: 'run.own_folder' })
})
