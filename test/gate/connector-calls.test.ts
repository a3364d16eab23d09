// A connector's command passes the same layers as every other call: what its arguments are, how often, and a person's yes; and one control of the gate is for all of it.
import { expect, test } from 'vitest'
import { type RunningGate, gateFor, unrulyServer, until } from './bed.ts'
import { type Answer, ask, gateCommand, issue, openSession, statesOf } from './connector-bed.ts'

const far = unrulyServer()
const upstreams = { far: { command: far.command } }
const access = `[[gate.rules]]\nprincipals = ["operator_api"]\nupstreams = ["far"]\ntools = ["echo"]\narguments.text = "a*"\napprove = ["count"]\n
[[gate.rules]]\nprincipals = ["operator_api"]\nupstreams = ["far"]\ntools = ["count"]\n
[[gate.limits]]\ntools = ["echo"]\ncalls_per_minute = 1\n`

async function waiting(gate: RunningGate): Promise<{ id: string; principal: string; tool: string }[]> {
  return (JSON.parse((await gateCommand(gate, 'approve', '--json')).stdout) as { calls: { id: string; principal: string; tool: string }[] })
    .calls
}

test('arguments, limits and approvals hold for connectors', async () => {
  const gate = await gateFor({ upstreams, access })
  const { token } = await issue(gate, 'operator_api')
  const { id: session } = await openSession(gate, token, 'operator_api')
  const send = (command: string, given: object): Promise<Answer> =>
    ask(gate, '/connectors/operator_api/command', { token, session, body: JSON.stringify({ command, arguments: given }) })

  const other = await send('far__echo', { text: 'b' })
  expect([other.status, other.text]).toEqual([403, expect.stringContaining('like this')])
  expect((await send('far__echo', { text: 'ab' })).status).toBe(200)
  const often = await send('far__echo', { text: 'ab' })
  expect([often.status, often.body['sent'], often.text]).toEqual([429, false, expect.stringContaining('gate.command_limited')])
  expect(Number(often.headers.get('retry-after'))).toBeGreaterThan(50)
  expect(far.callsOf('echo')).toBe(1)

  for (const [word, status, calls] of [
    ['--deny', 403, 0],
    ['--for=1m', 200, 1],
  ] as const) {
    const sent = send('far__count', {})
    await until('the call waits', async () => (await waiting(gate)).length === 1)
    const [call] = await waiting(gate)
    expect(call).toMatchObject({ principal: 'operator_api', tool: 'count' })
    expect(far.callsOf('count')).toBe(0)
    expect(await gateCommand(gate, 'approve', call!.id, word)).toMatchObject({ code: 0 })
    expect([(await sent).status, far.callsOf('count')]).toEqual([status, calls])
  }
  expect(await statesOf(gate)).toMatchObject({ operator_api: { status: 'alive' } })
}, 60_000)

test('whether a command may have been carried out is told as it is at the far end: a server that dies with it, one that never got it', async () => {
  const [far, broken] = [unrulyServer(), unrulyServer('dies')]
  const gate = await gateFor({
    upstreams: { far: { command: far.command }, broken: { command: broken.command } },
    access: '[[gate.rules]]\nprincipals = ["operator_api"]\nupstreams = ["*"]\ntools = ["*"]\n',
  })
  const { token } = await issue(gate, 'operator_api')
  const { id: session } = await openSession(gate, token, 'operator_api')
  const send = (command: string): Promise<Answer> =>
    ask(gate, '/connectors/operator_api/command', { token, session, body: JSON.stringify({ command, arguments: {} }) })

  const died = await send('far__exit')
  expect([died.status, died.body]).toEqual([
    503,
    expect.objectContaining({ sent: true, error: expect.objectContaining({ code: 'gate.command_unknown' }) }),
  ])
  expect(far.callsOf('exit')).toBe(1)
  const unready = await send('broken__echo')
  expect([unready.status, unready.body['sent'], broken.callsOf('echo')]).toEqual([503, false, 0])
  expect(unready.text).not.toContain('took effect')
})
