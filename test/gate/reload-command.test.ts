// `fairlead gate reload`, as an operator types it: what is other now, what needs a new start, and why a file is not taken.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { configure } from '../kit/gate.ts'
import { main } from '../kit/program.ts'
import * as raw from '../kit/raw-client.ts'
import { gateFor, temporaryFolder } from './bed.ts'
import { gateCommand } from './connector-bed.ts'

const program = fileURLToPath(new URL('told-server.ts', import.meta.url))
const told = (name: string, more = '') => ({ command: [process.execPath, program, JSON.stringify({ name })], more })

test('it holds when the command returns; what changed and what needs a new start is said, or the fault', async () => {
  const secret = join(temporaryFolder(), 'secret')
  writeFileSync(secret, 'one', { mode: 0o600 })
  const upstreams = { a: told('A', `secrets = { SECRET = { file = "${secret}" } }`) }
  const gate = await gateFor({ upstreams })
  const saidSecret = async () => raw.textOf(await (await raw.modernCall(gate.url('a'), 1, 'secret')).answer())
  expect(await saidSecret()).toBe('one')

  // No file of its own was touched, so that nothing but the command makes it look.
  writeFileSync(secret, 'two', { mode: 0o600 })
  expect(await gateCommand(gate, 'reload')).toMatchObject({ code: 0, stdout: 'upstreams changed:  a\n', stderr: '' })
  expect(await saidSecret()).toBe('two')
  expect(await gateCommand(gate, 'reload')).toMatchObject({ code: 0, stdout: 'what the file says is in force already\n' })

  configure(gate.folder, { upstreams: { ...upstreams, b: told('B') }, settings: 'max_sessions = 7\n', port: 0 })
  const changed = await gateCommand(gate, 'reload', '--json')
  expect(changed.code).toBe(0)
  expect((JSON.parse(changed.stdout) as { needsRestart: string[] }).needsRestart).toEqual(['gate.max_sessions'])
  expect(raw.textOf(await (await raw.modernCall(gate.url('b'), 1, 'who')).answer())).toBe('B')

  for (const [settings, code, words] of [
    ['drain = "soon"', 2, /fairlead\.toml:\d+.*gate\.drain/],
    ['[[[', 2, /fairlead\.toml:\d+/],
    ['[[gate.rules]]\nprincipals = ["nobody"]\nupstreams = ["a"]', 2, /gate\.rules\[0\].*nobody|nobody.*gate\.rules\[0\]/],
  ] as const) {
    configure(gate.folder, { upstreams, settings, port: 0 })
    const refused = await gateCommand(gate, 'reload')
    expect([settings, refused.code, refused.stdout]).toEqual([settings, code, ''])
    expect(refused.stderr).toMatch(words)
    expect(raw.textOf(await (await raw.modernCall(gate.url('b'), 1, 'who')).answer())).toBe('B')
  }
  configure(gate.folder, { upstreams, port: 0 })
  await gate.stop('SIGKILL')
  expect(await gateCommand(gate, 'reload')).toMatchObject({ code: 5, stderr: expect.stringContaining('is it running') })
}, 60_000)

test('two gates of one user with one folder for their sockets: the second says which setting gives it one of its own', async () => {
  const folder = temporaryFolder()
  const first = await gateFor({ upstreams: {}, folder })
  const state = temporaryFolder()
  const file = join(state, 'gate.toml')
  writeFileSync(file, `[gate]\nlisten = "127.0.0.1:0"\nstate = "${state}"\nruntime = "${folder}/run"\n`)
  const second = spawn(process.execPath, [main, 'gate', 'serve', '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  second.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  expect((await once(second, 'close'))[0]).toBe(1)
  expect(said).toMatch(/another gate of this user has its sockets in .*run\n.*gate\.runtime/)
  expect(await gateCommand(first, 'reload')).toMatchObject({ code: 0 })
})
