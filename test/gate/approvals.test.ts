// Calls that need a person's yes, through every door: asked of the client's user or on the machine, for exactly that call, and refused without it.
import { describe, expect, test } from 'vitest'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { later } from '../kit/cleanup.ts'
import { eras, until } from './bed.ts'
import { type DoorClient, type OpenGate, doorsAndEras, listingServer, openGate, tool } from './doors.ts'

const access = '[[gate.rules]]\nprincipals = ["*"]\nupstreams = ["*"]\ntools = ["*"]\napprove = ["erase*", "ask"]\n'
const given = { path: '/srv/a' }
const canElicit = { capabilities: { elicitation: {}, roots: {} } }
const yes = { action: 'accept', content: { approve: true } }

async function start(door: 'http' | 'wire', era: 'legacy' | 'modern', settings = '') {
  const far = listingServer([tool('erase'), tool('erase_more'), tool('ask'), tool('read')])
  return { far, gate: await openGate(door, era, { command: far.command, access, settings }) }
}

/** The id of the only call that waits, as a person sees it. */
async function waitingId(gate: OpenGate): Promise<string> {
  let id: string | undefined
  await until('a call waits', async () => {
    id = /^call (\S+)$/m.exec((await gate.approve()).stdout)?.[1]
    return id !== undefined
  })
  return id!
}

/** Calls, and answers the question of the gate as the client's user. */
async function calledAndSaid(client: DoorClient, era: 'legacy' | 'modern', said: object) {
  const asked = client.ask('tools/call', { name: 'erase', arguments: given })
  if (era === 'legacy') {
    const question = await asked.question()
    await client.say({ id: question.id, ...said })
    return { question, answer: await asked.answer() }
  }
  const { result } = await asked.answer()
  const [key, question] = Object.entries(result!['inputRequests'] as Record<string, object>)[0]!
  const more = { requestState: result!['requestState'], inputResponses: { [key]: (said as { result?: object }).result } }
  return { question, answer: await client.call('erase', given, more), more }
}

describe.each(doorsAndEras)('%s, %s client', (door, era) => {
  test("the client's user is asked what exactly shall be done, and a yes is for that alone", async () => {
    const { gate, far } = await start(door, era)
    const ann = await gate.client(canElicit)
    const { question, answer } = await calledAndSaid(ann, era, { result: yes })
    expect(question).toMatchObject({
      method: 'elicitation/create',
      params: { message: 'ann wants to call erase of up with these arguments:\n{"path":"/srv/a"}' },
    })
    expect(answer.result).toMatchObject({ content: [{ text: JSON.stringify(given) }] })
    const [reached] = far.received('tools/call')
    expect(Object.keys(reached!.params!)).not.toEqual(expect.arrayContaining(['requestState', 'inputResponses']))
    for (const said of [
      { action: 'decline' },
      { action: 'cancel' },
      { action: 'accept', content: {} },
      { action: 'accept', content: { approve: false } },
      { action: 'accept', content: { approve: 'true' } },
    ])
      expect((await calledAndSaid(ann, era, { result: said })).answer.error).toMatchObject({
        code: -32_001,
        message: "erase of up needs a person's yes: the client's user did not say yes",
        data: { code: 'gate.not_approved' },
      })
    expect(far.received('tools/call')).toHaveLength(1)
    const events = gate.lines().map(({ event }) => event)
    expect(events.filter((event) => String(event).startsWith('approval.')).slice(0, 4)).toEqual([
      'approval.asked',
      'approval.granted',
      'approval.asked',
      'approval.denied',
    ])
    expect(gate.lines().find(({ event }) => event === 'approval.granted')).toMatchObject({
      principal: 'ann',
      upstream: 'up',
      name: 'erase',
      by: 'client',
      how: 'once',
      arguments: expect.stringMatching(/^[\w-]{43}$/) as string,
    })
    expect((await ann.call('read')).result).toBeDefined() // nobody has to say yes to what is not marked
  })

  test('on the machine: listed with its arguments, allowed once, for some time, or denied', async () => {
    const { gate, far } = await start(door, era)
    const ann = await gate.client()
    const first = ann.ask('tools/call', { name: 'erase', arguments: given })
    const id = await waitingId(gate)
    const { stdout } = await gate.approve()
    expect(stdout).toContain(`call ${id}\n  ann calls erase of up with {"path":"/srv/a"}\n  refused in `)
    expect(far.received('tools/call')).toHaveLength(0)
    expect(await gate.approve(id)).toMatchObject({ exitCode: 0, stdout: 'approved once: ann calls erase of up with {"path":"/srv/a"}\n' })
    expect((await first.answer()).result).toBeDefined()
    expect((await gate.approve(id)).stderr).toContain(`no call ${id} waits`)

    const second = ann.ask('tools/call', { name: 'erase', arguments: given })
    expect((await gate.approve(await waitingId(gate), '--for', '1h')).exitCode).toBe(0)
    expect((await second.answer()).result).toBeDefined()
    expect((await ann.call('erase', given)).result).toBeDefined()
    expect(far.received('tools/call')).toHaveLength(3)

    const others: [DoorClient, string, object][] = [
      [ann, 'erase', { path: '/srv/b' }],
      [ann, 'erase_more', given],
      [await gate.client({ as: 'bob' }), 'erase', given],
    ]
    for (const [client, name, args] of others) {
      const other = client.ask('tools/call', { name, arguments: args })
      expect((await gate.approve(await waitingId(gate), '--deny')).stdout).toMatch(/^denied: /)
      expect((await other.answer()).error).toMatchObject({ message: `${name} of up needs a person's yes: it was denied` })
    }
    expect(far.received('tools/call')).toHaveLength(3)
    const used = gate.lines().filter(({ event }) => event === 'approval.used')
    expect(used).toHaveLength(1)
    expect(gate.lines().find(({ event, approval }) => event === 'approval.granted' && approval === used[0]!['approval'])).toMatchObject({
      by: 'machine',
      how: { forMs: 3_600_000 },
    })
  })

  test('for a session, where there is one', async () => {
    const { gate, far } = await start(door, era)
    const ann = await gate.client()
    const call = ann.ask('tools/call', { name: 'erase', arguments: given })
    const id = await waitingId(gate)
    const said = await gate.approve(id, '--session')
    if (era === 'modern') {
      expect(said).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('has no session') as string })
      await gate.approve(id, '--deny')
      return
    }
    expect((await call.answer()).result).toBeDefined()
    expect((await ann.call('erase', given)).result).toBeDefined()
    const other = (await gate.client()).ask('tools/call', { name: 'erase', arguments: given })
    await gate.approve(await waitingId(gate), '--deny')
    expect((await other.answer()).error?.message).toContain('it was denied')
    expect(far.received('tools/call')).toHaveLength(2)
  })

  test('no answer in time is a no; a call that is cancelled waits no longer', async () => {
    const { gate, far } = await start(door, era, 'approval_timeout = "1s"')
    const ann = await gate.client()
    expect((await ann.call('erase', given)).error?.message).toBe("erase of up needs a person's yes: nobody said yes within 1 s")
    expect(gate.logged()).toContain('gate.approval.asked')
    expect(gate.logged()).not.toContain('/srv/a')
    await gate.stop('SIGTERM')
    expect(far.received('tools/call')).toHaveLength(0)

    const patient = await start(door, era)
    const client = await patient.gate.client()
    const call = client.ask('tools/call', { name: 'erase', arguments: given })
    await waitingId(patient.gate)
    await call.cancel()
    await until('nothing waits', async () => (await patient.gate.approve()).stdout === 'nothing waits\n')
    expect(patient.far.received('tools/call')).toHaveLength(0)
    expect(patient.far.received('notifications/cancelled')).toHaveLength(0)
  })

  test('a gate that stops refuses what waits, and has forgotten every yes when it is back', async () => {
    const { gate } = await start(door, era)
    const ann = await gate.client()
    const call = ann.ask('tools/call', { name: 'erase', arguments: given })
    await waitingId(gate)
    const stopping = gate.stop('SIGTERM')
    expect((await call.answer()).error?.message).toContain('the gate is stopping')
    await stopping
  })

  test('with approval_by = "machine" the client is not asked', async () => {
    const { gate } = await start(door, era, 'approval_by = "machine"')
    const call = (await gate.client(canElicit)).ask('tools/call', { name: 'erase', arguments: given })
    await gate.approve(await waitingId(gate))
    expect((await call.answer()).result).toMatchObject({ content: [{ text: JSON.stringify(given) }] })
  })
})

describe.each(['http', 'wire'] as const)('%s, modern client', (door) => {
  test('a yes cannot be used for another call, by another principal, or twice', async () => {
    const { gate, far } = await start(door, 'modern')
    const [ann, bob] = [await gate.client(canElicit), await gate.client({ as: 'bob', ...canElicit })]
    const asked = async () => (await ann.call('erase', given)).result!
    const moreOf = (result: Readonly<Record<string, unknown>>) => ({
      requestState: result['requestState'],
      inputResponses: { 'fairlead-approval': yes },
    })
    const swapped: [DoorClient, string, object][] = [
      [ann, 'erase', { path: '/srv/b' }],
      [ann, 'erase_more', given],
      [bob, 'erase', given],
    ]
    for (const [client, name, args] of swapped)
      expect((await client.call(name, { ...args }, moreOf(await asked()))).error?.message).toContain('not the call that was asked about')
    const more = moreOf(await asked())
    expect((await ann.call('erase', given, { ...more, requestState: 'fairlead-approval.guessed' })).error).toBeDefined()
    expect((await ann.call('erase', given, more)).result).toBeDefined()
    expect((await ann.call('erase', given, more)).error?.message).toContain('not the call that was asked about')
    expect(far.received('tools/call')).toHaveLength(1)
  })

  test('a server that asks its client for more gets the answer without a second yes', async () => {
    const { gate, far } = await start(door, 'modern')
    const ann = await gate.client()
    const first = ann.ask('tools/call', { name: 'ask', arguments: given })
    await gate.approve(await waitingId(gate))
    const { result } = await first.answer()
    expect(result).toMatchObject({ resultType: 'input_required', requestState: 'of the server' })
    const more = { requestState: 'of the server', inputResponses: { roots: { roots: [] } } }
    expect((await ann.call('ask', given, more)).result).toMatchObject({ resultType: 'complete' })
    expect(far.received('tools/call')).toHaveLength(2)
    const again = ann.ask('tools/call', { name: 'ask', arguments: given, ...more })
    await gate.approve(await waitingId(gate), '--deny')
    expect((await again.answer()).error).toBeDefined()
  })
})

test.each(eras)('the official client, %s: its user is asked, and the call is made or not', async (era) => {
  const { gate, far } = await start('http', era)
  for (const approve of [true, false]) {
    const client = new Client(
      { name: 'kit', version: '1' },
      { capabilities: { elicitation: {} }, versionNegotiation: { mode: era === 'modern' ? { pin: '2026-07-28' } : 'legacy' } },
    )
    client.setRequestHandler('elicitation/create', () => ({ action: 'accept' as const, content: { approve } }))
    const requestInit = { headers: { authorization: 'Bearer ann' } }
    await client.connect(new StreamableHTTPClientTransport(new URL(gate.url), { requestInit }))
    later(() => client.close())
    const called = client.callTool({ name: 'erase', arguments: given })
    if (approve) expect(await called).toMatchObject({ content: [{ text: JSON.stringify(given) }] })
    else await expect(called).rejects.toThrow("the client's user did not say yes")
  }
  expect(far.received('tools/call')).toHaveLength(1)
})

test('so many may wait, and no more', async () => {
  const { gate } = await start('http', 'legacy', 'approval_timeout = "30s"')
  const ann = await gate.client()
  const calls = Array.from({ length: 33 }, (_, at) => ann.ask('tools/call', { name: 'erase', arguments: { at } }))
  const refused = await Promise.race(calls.map((call) => call.answer()))
  expect(refused.error?.message).toBe("erase of up needs a person's yes: too many calls wait for one already")
  expect((await gate.approve()).stdout.match(/^call /gm)).toHaveLength(32)
})

test('without a gate, and with answers that make no sense, a person is told what to do', async () => {
  const { gate } = await start('http', 'legacy')
  expect(await gate.approve('x', '--for', 'soon')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('--for soon is no time') as string,
  })
  expect((await gate.approve('x', '--session', '--deny')).exitCode).toBe(2)
  expect((await gate.approve('up', 'read', '--deny')).exitCode).toBe(2)
  await gate.stop('SIGKILL')
  expect(await gate.approve()).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('no gate answers at') as string })
})
