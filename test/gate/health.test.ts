// What a load balancer and a person are told of the gate's health, each check with its reason.
import { expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import { type RunningGate, gateFor, openSession, post, initializeParams, unrulyServer, send } from './bed.ts'

type Health = { readonly status: string; readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly reason: string }>> }

const token = 'a-token'
const access = `[gate.principals.ann]\ntoken_sha256 = "${tokenHash(token)}"\n[[gate.rules]]\nprincipals = ["ann"]\nupstreams = ["*"]\ntools = ["*"]\n`

async function ask(
  gate: RunningGate,
  path: string,
  options: Parameters<typeof send>[2] = {},
): Promise<{ status: number; health: Health; text: string }> {
  const { status, text } = await send(`http://127.0.0.1:${gate.port}${path}`, undefined, { httpMethod: 'GET', ...options })
  return { status, text, health: (text.startsWith('{') ? JSON.parse(text) : {}) as Health }
}

test('a server that fails is named with its reason to who may know, and counted for strangers; the gate is ready all the same', async () => {
  const upstreams = {
    well: { command: unrulyServer().command },
    'secret-name': { command: ['no-such-program'] },
    unused: { command: ['true'] },
  }
  const gate = await gateFor({ upstreams, access })
  expect((await ask(gate, '/health')).health).toEqual({
    status: 'ok',
    checks: {
      gate: { ok: true, reason: 'it takes calls' },
      ledger: { ok: true, reason: 'the last entry was written' },
      sessions: { ok: true, reason: 'they can be read' },
      configuration: { ok: true, reason: 'what its file says is in force' },
      upstreams: { ok: true, reason: '0 of 3 fail' },
      tools: { ok: true, reason: 'none is in quarantine', unpinned: 0 },
    },
  })
  await openSession(gate.url('well'), { token })
  await post(gate.url('secret-name'), 'initialize', initializeParams, { token })
  for (const path of ['/health', '/readyz']) {
    const stranger = await ask(gate, path)
    expect([stranger.status, stranger.health.status]).toEqual([200, 'degraded'])
    expect(stranger.health.checks['upstreams']).toEqual({ ok: false, reason: '1 of 3 fail' })
    expect(stranger.text).not.toMatch(/secret-name|no-such-program/)
    const { checks } = (await ask(gate, path, { token })).health
    expect(checks['upstream well']).toEqual({ ok: true, reason: 'it answered when it was last opened' })
    expect(checks['upstream unused']).toEqual({ ok: true, reason: 'nobody has used it yet' })
    expect(checks['upstream secret-name']!.ok).toBe(false)
    expect(checks['upstream secret-name']!.reason).toMatch(/the command no-such-program was not found.*next try/)
  }
})

test('/livez answers as long as the process does; a bad credential, another method, another host get nothing', async () => {
  const gate = await gateFor({ upstreams: {}, access })
  expect(await ask(gate, '/livez?verbose')).toMatchObject({ status: 200, health: { status: 'ok' } })
  expect((await ask(gate, '/livez', { httpMethod: 'HEAD' })).status).toBe(200)
  expect((await ask(gate, '/health', { token: 'wrong' })).status).toBe(401)
  expect((await ask(gate, '/health', { httpMethod: 'DELETE' })).status).toBe(401)
  expect((await ask(gate, '/healthy')).status).toBe(401)
  expect((await ask(gate, '/healthy', { token })).status).toBe(404)
  expect((await ask(gate, '/health', { headers: { origin: 'https://evil.example' } })).status).toBe(403)
})
