// What a server hands one principal to come back with is nothing in another's hands: ids of tasks, states of calls that ask. The server behind the gate serves whoever names one.
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import * as raw from '../kit/raw-client.ts'
import { type RunningGate, eras, gateFor, ledgerLines } from './bed.ts'
import { taskServer } from './far-ends.ts'

const people = ['ann', 'bob'] as const
type Person = (typeof people)[number]
const access =
  people.map((name) => `[gate.principals.${name}]\ntoken_sha256 = "${tokenHash(name)}"\n`).join('') +
  '[[gate.rules]]\nprincipals = ["*"]\nupstreams = ["*"]\ntools = ["*"]\nmethods = ["tasks/*"]\n'

type Ask = (who: Person, method: string, params?: raw.Params) => Promise<raw.Message>

async function asking(gate: RunningGate, era: 'legacy' | 'modern'): Promise<Ask> {
  const url = gate.url('up')
  let id = 0
  if (era === 'modern') return async (token, method, params) => (await raw.modern(url, ++id, method, params, { token })).answer()
  const sessions = { ann: await raw.openSession(url, { token: 'ann' }), bob: await raw.openSession(url, { token: 'bob' }) }
  return async (who, method, params) => (await sessions[who].request(++id, method, params)).answer()
}

async function again(gate: RunningGate, far: { readonly url: string }): Promise<RunningGate> {
  gate.process.kill('SIGKILL')
  await once(gate.process, 'exit')
  return gateFor({ upstreams: { up: far }, access, folder: gate.folder })
}

const invalid = (reason: string) => ({ code: -32_602, data: { reason } })
const methods = { legacy: ['tasks/get', 'tasks/result', 'tasks/cancel'], modern: ['tasks/get', 'tasks/update', 'tasks/cancel'] }

test.each(eras)(
  "attacks 10, 25: another's task is nobody's, by any method, and in no list; after a restart too; %s (CVE-2026-111767)",
  async (era) => {
    const far = await taskServer(era)
    const gate = await gateFor({ upstreams: { up: far }, access })
    const ask = await asking(gate, era)
    const begin = async (who: Person): Promise<string> => {
      const { result } = await ask(who, 'tools/call', {
        name: 'work',
        arguments: {},
        ...(era === 'legacy' ? { task: { ttl: 60_000 } } : {}),
      })
      return ((era === 'legacy' ? result!['task'] : result) as { taskId: string }).taskId
    }
    const [anns, bobs] = [await begin('ann'), await begin('bob')]
    expect([anns, bobs]).toEqual(['task-1', 'task-2'])
    const foreign = async (now: Ask): Promise<void> => {
      const before = far.asked.length
      for (const method of methods[era])
        for (const [who, taskId] of [
          ['bob', anns],
          ['ann', bobs],
          ['bob', 'task-9'],
          ['bob', 1],
        ] as const)
          expect([method, who, taskId, (await now(who, method, { taskId })).error]).toMatchObject([
            method,
            who,
            taskId,
            invalid('invalid_task'),
          ])
      if (era === 'modern')
        for (const taskIds of [[anns], [bobs, anns], anns])
          expect((await now('bob', 'subscriptions/listen', { notifications: { taskIds } })).error).toMatchObject(invalid('invalid_task'))
      expect(far.asked.slice(before)).toEqual([])
    }
    const own = async (now: Ask): Promise<void> => {
      for (const method of methods[era]) expect((await now('ann', method, { taskId: anns })).result).toBeDefined()
      if (era === 'modern') expect((await now('bob', 'subscriptions/listen', { notifications: { taskIds: [bobs] } })).result).toBeDefined()
    }
    await foreign(ask)
    await own(ask)
    if (era === 'legacy')
      for (const [who, taskId] of [
        ['ann', anns],
        ['bob', bobs],
      ] as const)
        expect((await ask(who, 'tasks/list')).result).toMatchObject({ tasks: [{ taskId }], nextCursor: 'more' })
    if (era === 'modern') expect((await ask('bob', 'tasks/result', { taskId: anns })).error).toMatchObject({ code: -32_601 })
    const begun = ledgerLines(gate).filter(({ event, method }) => event === 'call.begin' && String(method).startsWith('tasks/'))
    expect(begun[0]).toMatchObject({ method: 'tasks/get', principal: 'ann', name: anns })
    expect(ledgerLines(gate).find(({ event }) => event === 'refused')).toMatchObject({
      principal: 'bob',
      method: 'tasks/get',
      reason: 'bob was handed no such task by up',
    })
    const now = await asking(await again(gate, far), era)
    await foreign(now)
    await own(now)
  },
)

test("attacks 10, 11: another's requestState is nobody's, and one that no server handed out reaches none; after a restart too", async () => {
  const far = await taskServer('modern')
  const gate = await gateFor({ upstreams: { up: far }, access })
  const params = { name: 'ask', arguments: {} }
  const begin = async (who: Person): Promise<unknown> =>
    (await (await asking(gate, 'modern'))(who, 'tools/call', params)).result!['requestState']
  const [anns, more] = [await begin('ann'), await begin('ann')]
  const tried = async (ask: Ask, requestState: unknown): Promise<void> => {
    const comeBack = (who: Person, state: unknown): Promise<raw.Message> =>
      ask(who, 'tools/call', { ...params, requestState: state, inputResponses: { q: { action: 'accept', content: {} } } })
    const before = far.asked.length
    for (const state of [requestState, `${requestState as string}x`, '', 1, null])
      expect((await comeBack('bob', state)).error).toMatchObject(invalid('invalid_request_state'))
    expect((await comeBack('ann', 'state-9')).error).toMatchObject(invalid('invalid_request_state'))
    expect(far.asked.length).toBe(before)
    expect(raw.textOf(await comeBack('ann', requestState))).toBe('done')
  }
  await tried(await asking(gate, 'modern'), anns)
  await tried(await asking(await again(gate, far), 'modern'), more)
})
