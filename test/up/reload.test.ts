// A node that is up takes its gate's configuration again as a gate by itself does: when the file changes, on SIGHUP, and when it is asked.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { modernCall, textOf } from '../kit/raw-client.ts'
import { bed, run, up } from './bed.ts'

const program = fileURLToPath(new URL('../gate/told-server.ts', import.meta.url))

test(
  'new upstreams and credentials hold without a restart, beside those of the node itself; what needs one is named',
  { timeout: 60_000 },
  async () => {
    const place = bed()
    const [file, secret] = [join(place.home, 'config', 'fairlead.toml'), join(place.home, 'secret')]
    writeFileSync(secret, 'one', { mode: 0o600 })
    const configure = (more = ''): void =>
      writeFileSync(
        file,
        `${more}[gate.upstreams.told]\ncommand = ${JSON.stringify([process.execPath, program, '{"name":"T"}'])}\nsecrets = { SECRET = { file = "${secret}" } }\n`,
      )
    const node = await up(place)
    const said = async (tool: string) => textOf(await (await modernCall(node.url('told'), 1, tool, {}, { token: node.token })).answer())
    configure()
    await expect.poll(() => said('who').catch(() => undefined), { timeout: 10_000 }).toBe('T')
    expect(await said('secret')).toBe('one')

    writeFileSync(secret, 'two', { mode: 0o600 })
    process.kill(node.pid, 'SIGHUP')
    await expect.poll(() => said('secret'), { timeout: 10_000 }).toBe('two')
    writeFileSync(secret, 'three', { mode: 0o600 })
    expect(await run(place, ['gate', 'reload'])).toMatchObject({ exitCode: 0, stdout: 'upstreams changed:  told\n' })
    expect(await said('secret')).toBe('three')

    configure('[reach.registry]\nport = 1234\n[gate]\nmax_sessions = 7\n')
    const { stdout } = await run(place, ['gate', 'reload'])
    expect(stdout).toContain('needs a new start:  gate.max_sessions')
    const machine = await (await modernCall(node.url('machine'), 2, 'system_get_basic_info', {}, { token: node.token })).answer()
    expect(machine.result).toBeDefined()
    writeFileSync(file, '[gate.upstreams.machine]\nurl = "http://127.0.0.1:1/mcp"\n')
    expect(await run(place, ['gate', 'reload'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("this machine's tools") as string,
    })
    expect(await said('who')).toBe('T')
    expect(readFileSync(file, 'utf8')).toContain('machine')
    const ended = await node.stop('SIGTERM')
    expect(ended.exitCode).toBe(0)
    expect(ended.stderr).toMatch(/up\.reload\.needs_restart.*"reach"/)
  },
)
