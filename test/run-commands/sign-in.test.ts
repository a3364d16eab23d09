// `mcp login --user`: a token of a real identity service for a name and a password, kept for oneself, renewed in time, and only once where several need it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { later } from '../kit/cleanup.ts'
import { Bed } from './bed.ts'

const ok = { exitCode: 0 }

test('name and password become a token that nodes believe, and that is renewed', { timeout: 60_000 }, async () => {
  const program = fileURLToPath(new URL('../kit/password-provider.mjs', import.meta.url))
  const provider = spawn(process.execPath, [program, 'ann', 's3cret word', '50'], { stdio: ['ignore', 'pipe', 'ignore'] })
  later(() => provider.kill('SIGKILL'))
  const [issuer] = (await once(createInterface(provider.stdout), 'line')) as [string]
  const bed = new Bed()
  const agent = await bed.agent('rift', `[server]\nlisten = "127.0.0.1:0"\n[auth]\nvalidator = "${issuer}/v1/token/validate"\n`)
  expect(await bed.mcp(['node', 'add', 'rift', `127.0.0.1:${agent.told.port}`, '--ca', join(agent.folder, 'certs/ca.pem')])).toMatchObject(
    ok,
  )
  const config = join(bed.config, 'mcp.toml')
  const nodes = readFileSync(config, 'utf8')
  const login = (password: string) => bed.mcp(['login', '--user', 'ann'], { input: `${password}\n` })
  expect(await login('any')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('names no identity service') })
  const settings = (url: string): void => writeFileSync(config, `${nodes}[login]\nurl = "${url}"\nscope = "openid offline_access"\n`)
  settings('http://id.example.org/token')
  expect(await login('any')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('must be https') })
  settings(`${issuer}/token`)
  const refused = await login('wr0ng word')
  expect(refused).toMatchObject({ exitCode: 4, stderr: expect.stringMatching(/gives no token: invalid_grant\n.*check name and password/) })
  expect(refused.stderr).not.toContain('wr0ng')
  expect(readdirSync(bed.config)).not.toContain('token')

  expect(await login('s3cret word')).toMatchObject({ ...ok, stdout: expect.stringContaining('let in by: rift') })
  const [token, kept] = [join(bed.config, 'token'), join(bed.config, 'token.login')]
  for (const file of [token, kept]) expect(statSync(file).mode & 0o777).toBe(0o600)
  const first = readFileSync(token, 'utf8')
  expect(readFileSync(kept, 'utf8')).not.toContain('s3cret')

  // It has less than a minute left: the next commands renew it, one of them for all.
  const together = await Promise.all(Array.from({ length: 4 }, () => bed.start(['--as', 'mcp', 'ps'])))
  for (const one of together) expect(await one.over).toMatchObject(ok)
  expect(await bed.mcp(['ps'])).toMatchObject(ok)
  expect(readFileSync(token, 'utf8')).not.toBe(first)
  expect(await bed.mcp(['ps'])).toMatchObject(ok)

  provider.kill('SIGKILL')
  await once(provider, 'close')
  expect(await bed.mcp(['ps'])).toMatchObject(ok) // it is still good for a while
  const before = JSON.stringify({ ...(JSON.parse(readFileSync(kept, 'utf8')) as object), endsAt: 1 })
  writeFileSync(kept, before)
  expect(await bed.mcp(['ps'])).toMatchObject({
    exitCode: 5,
    stderr: expect.stringContaining(`the identity service ${issuer}/token does not answer`),
  })
  expect(readFileSync(kept, 'utf8')).toBe(before)
})
