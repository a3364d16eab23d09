// `mcp` from another machine: pinning, tokens, who may what, and a stream that somebody else ends.
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { z } from 'zod'
import { openControl } from '../../src/base/control/server.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLog as log } from '../../src/kernel/log.ts'
import { later } from '../kit/cleanup.ts'
import { Bed } from './bed.ts'

const ok = { exitCode: 0 }

async function reached() {
  const bed = new Bed()
  const agent = await bed.agent('rift', '[server]\nlisten = "127.0.0.1:0"\n')
  const { port } = agent.told
  const onNode = new Bed() // whoever sits at the node
  expect(await onNode.mcp(['node', 'add', 'here', `unix:${agent.socket}`])).toMatchObject(ok)
  const [line] = execFileSync('openssl', ['x509', '-in', join(agent.folder, 'certs/ca.pem'), '-noout', '-fingerprint', '-sha256'], {
    encoding: 'utf8',
  }).split('\n')
  return { bed, agent, onNode, address: `127.0.0.1:${port}`, fingerprint: line!.split('=')[1]! }
}

test('what is pinned is what a person compared; nothing is kept without', async () => {
  const { bed, address, fingerprint, agent } = await reached()
  const shy = await bed.mcp(['node', 'add', 'rift', address])
  expect(shy).toMatchObject({ exitCode: 4, stderr: expect.stringContaining(fingerprint) })
  expect(await bed.mcp(['node', 'add', 'rift', address, '--fingerprint', 'AA:BB'])).toMatchObject({
    exitCode: 4,
    stderr: expect.stringContaining('nobody in between'),
  })
  expect(readdirSync(bed.config)).toEqual(['services'])
  expect(await bed.mcp(['node', 'add', 'rift', address, '--fingerprint', fingerprint.toLowerCase()])).toMatchObject(ok)
  expect(await bed.mcp(['node', 'add', 'rift', address])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('there is a node rift already'),
  })
  writeFileSync(join(bed.config, 'mcp.toml'), `# mine\n${readFileSync(join(bed.config, 'mcp.toml'), 'utf8')}`)
  expect(await bed.mcp(['node', 'add', 'tarn', 'tarn.example.org', '--ca', join(agent.folder, 'certs/ca.pem')])).toMatchObject(ok)
  expect(await bed.mcp(['node', 'remove', 'rift'])).toMatchObject(ok)
  expect(readFileSync(join(bed.config, 'mcp.toml'), 'utf8')).toBe(
    '# mine\n[[nodes]]\nname = "tarn"\naddress = "tarn.example.org"\nca = "nodes/tarn.pem"\n',
  )
  for (const bad of ['unix:relative', 'http://rift', 'rift:0', ''])
    expect(await bed.mcp(['node', 'add', 'x', bad]), bad).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('is no address of a node'),
    })
})

test('where it listens at all addresses, its certificate names them', async () => {
  const bed = new Bed()
  const agent = await bed.agent('rift', '[server]\nlisten = "0.0.0.0:0"\n')
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
  const outside = own.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? '127.0.0.1'
  expect(await bed.mcp(['node', 'add', 'rift', `${outside}:${agent.told.port}`, '--ca', join(agent.folder, 'certs/ca.pem')])).toMatchObject(
    ok,
  )
  expect(await bed.mcp(['status'])).toMatchObject({ exitCode: 4, stdout: expect.stringContaining('no token was shown') }) // it was reached
})

test('a token lets in, says how far, and ends', async () => {
  const { bed, onNode, address, fingerprint, agent } = await reached()
  expect(await bed.mcp(['node', 'add', 'rift', address, '--fingerprint', fingerprint])).toMatchObject(ok)
  expect(await bed.mcp(['status'])).toMatchObject({
    exitCode: 4,
    stdout: expect.stringContaining('UNAUTHENTICATED: no token was shown'),
    stderr: expect.stringContaining('mcp login'),
  })

  const made = await onNode.mcp(['token', 'new', 'ann', '--role', 'viewer'])
  expect(made).toMatchObject({ ...ok, stdout: expect.stringMatching(/^mcp_[\w-]{43}\n$/) })
  const token = made.stdout
  expect(await bed.mcp(['login'], { input: 'mcp_wrong\n' })).toMatchObject({
    exitCode: 4,
    stderr: expect.stringContaining('UNAUTHENTICATED'),
  })
  expect(readdirSync(bed.config)).not.toContain('token')
  expect(await bed.mcp(['login'], { input: token })).toMatchObject({ ...ok, stdout: expect.stringContaining('let in by: rift') })
  expect((statSync(join(bed.config, 'token')).mode & 0o777).toString(8)).toBe('600')
  expect(await bed.mcp(['status'])).toMatchObject(ok)

  bed.define('web', 'rift')
  expect(await bed.mcp(['deploy', 'web'])).toMatchObject({
    exitCode: 4,
    stderr: expect.stringMatching(/error: PERMISSION_DENIED: ann may not deploy web: .* operator .*\n.*hint: .*mcp token new/),
  })
  expect(await bed.mcp(['token', 'list'])).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('PERMISSION_DENIED') })
  const op = await onNode.mcp(['token', 'new', 'op', '--role', 'operator', '--service', 'web', '--for', '1d'])
  expect(await bed.mcp(['login', '--node', 'rift'], { input: op.stdout })).toMatchObject({
    ...ok,
    stdout: expect.stringContaining('nodes/rift.token'),
  })
  expect(await bed.mcp(['deploy', 'web'])).toMatchObject(ok)
  expect(await bed.mcp(['status', 'web'])).toMatchObject(ok)
  bed.define('mail', 'rift')
  expect(await bed.mcp(['deploy', 'mail'])).toMatchObject({
    exitCode: 4,
    stderr: expect.stringContaining('PERMISSION_DENIED: op may not deploy mail'),
  })
  const { tokens } = (await onNode.mcp(['token', 'list', '--json'])).json as { tokens: object[] }
  expect(tokens).toMatchObject([
    { name: 'ann', role: 'viewer', services: ['*'] },
    { name: 'op', role: 'operator', services: ['web'] },
  ])

  expect(await bed.mcp(['service', 'show', 'web'])).toMatchObject({ ...ok, stdout: expect.stringContaining('name = "web"') })
  const following = await bed.start(['--as', 'mcp', 'logs', 'web', '-f'])
  expect(await onNode.mcp(['token', 'revoke', 'op'])).toMatchObject(ok)
  expect(await bed.mcp(['restart', 'web'])).toMatchObject({
    exitCode: 4,
    stderr: expect.stringContaining('UNAUTHENTICATED: the token is not known here, or was revoked'),
  })
  expect(await following.over).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('UNAUTHENTICATED') }) // within a beat
  expect(await bed.mcp(['login', '--node', 'rift'], { input: token })).toMatchObject(ok)
  const listed = await bed.mcp(['list', '--json'])
  expect(listed).toMatchObject({ ...ok, json: { nodes: [{ services: [{ name: 'web', components: [{ name: 'web' }] }] }] } })
  expect(listed.stdout).not.toContain('cmd') // nor anything else of a definition, in which values of variables stand
  expect(await bed.mcp(['service', 'show', 'web'])).toMatchObject({
    exitCode: 4,
    stderr: expect.stringMatching(/PERMISSION_DENIED: ann may not read-definitions web: .* operator /),
  })
  for (const secret of [token, op.stdout])
    expect(execFileSync('sh', ['-c', 'grep -rlF -e "$1" "$2" || true', 'sh', secret.trim(), agent.folder], { encoding: 'utf8' })).toBe('')
  expect(lines(agent.folder)).toContainEqual(
    expect.objectContaining({ event: 'call.begin', who: 'op', via: 'token', operation: 'deploy', service: 'web' }),
  )
  expect(lines(agent.folder)).toContainEqual(
    expect.objectContaining({ event: 'call.begin', who: 'local', via: 'socket', operation: 'new-token' }),
  )
})

function lines(folder: string): Record<string, unknown>[] {
  return readFileSync(join(folder, 'ledger/ledger.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('logs: the last lines, and what comes; control characters are shown, not obeyed', async () => {
  const bed = new Bed()
  const folder = join(bed.root, 'fake')
  const line = z.strictObject({ component: z.string(), time: z.number(), stream: z.enum(['stdout', 'stderr']), text: z.string() })
  const input = z.strictObject({
    service: z.string(),
    component: z.string().optional(),
    tail: z.number().optional(),
    since: z.number().optional(),
    follow: z.boolean(),
  })
  const api = { 'follow-logs': { privilege: 'observe', summary: 'logs', input, stream: line, output: z.strictObject({}) } } as const
  let asked: z.output<typeof input> | undefined
  let ended: unknown
  const control = await openControl(
    {
      api,
      handlers: {
        'follow-logs': async (given, { say, signal }) => {
          asked = given
          for (const text of ['one', '\u001b[2Jtwo']) await say({ component: 'web', time: 1, stream: 'stdout', text })
          if (given.follow) await new Promise((resolve) => signal.addEventListener('abort', resolve))
          ended = signal.reason
          return {}
        },
      },
      clock: systemClock,
      log,
    },
    { daemon: 'node', folder },
  )
  later(() => control[Symbol.asyncDispose]())
  expect(await bed.mcp(['node', 'add', 'rift', `unix:${folder}`])).toMatchObject(ok)
  bed.define('web', 'rift')
  expect(await bed.mcp(['logs', 'web', '-n', '2'])).toMatchObject({ ...ok, stdout: 'web | one\nweb | \\u{1b}[2Jtwo\n' })
  expect(asked).toEqual({ service: 'web', tail: 2, follow: false })
  const since = Date.now()
  expect(await bed.mcp(['logs', 'web/web', '--since', '10m'])).toMatchObject({ ...ok, stdout: 'one\n\\u{1b}[2Jtwo\n' })
  expect(Math.abs(asked!.since! - (since - 600_000))).toBeLessThan(10_000)
  expect(asked!.tail).toBeUndefined()
  const following = await bed.start(['--as', 'mcp', 'logs', 'web', '-f'])
  await following.heard('two')
  following.kill('SIGTERM')
  expect(await following.over).toMatchObject({ exitCode: 143, stderr: '' })
  await vi.waitFor(() => expect(ended).toMatchObject({ code: 'control.client_gone' }))
  expect(await bed.mcp(['logs', 'web', '--since', 'yesterday'])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('no span of time'),
  })
})
