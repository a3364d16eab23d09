// What a policy lets through, message by message: lists cannot come back uncut under another id, and a rotated peer keeps what its old id was allowed.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { createPolicy } from '../../base/access/policy.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { type Frame, asBuffer } from '../../base/wire/frame.ts'
import { memoryWires } from '../../base/wire/memory.ts'
import { scan } from '../../base/wire/scan.ts'
import { authorizedPeers } from './authorized-peers.ts'
import { permittedWire } from './permitted-wire.ts'
import { policyFile } from './policy-file.ts'

let folder: string
const undo: (() => unknown)[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fairlead-policy-'))
})
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) step()
  await rm(folder, { recursive: true, force: true })
})

const frame = (message: object): Frame => scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })))
const textOf = (got: Frame): unknown => JSON.parse(asBuffer(got.bytes).toString())

function between() {
  const policy = createPolicy([{ principals: ['ann'], upstreams: ['s'], tools: ['may'], resources: [], prompts: [] }])
  const [near, far] = memoryWires()
  const wire = permittedWire(near, () => policy.permit('ann', 's'))
  const [client, server]: [unknown[], unknown[]] = [[], []]
  const into = (list: unknown[]) => ({ write: (got: Frame) => list.push(textOf(got)) > 0, room: () => Promise.resolve() })
  wire.read(into(client))
  far.read(into(server))
  return { say: (message: object) => wire.write(frame(message)), answer: (message: object) => far.write(frame(message)), client, server }
}
const tools = (...names: string[]): { tools: { name: string }[] } => ({ tools: names.map((name) => ({ name })) })

test('a list whose id is used again, cancelled or not, comes back cut or not at all', async () => {
  const { say, answer, client, server } = between()
  say({ id: 1, method: 'ping' })
  say({ id: 1, method: 'tools/list' })
  await expect.poll(() => client).toMatchObject([{ id: 1, error: { code: -32600 } }])
  say({ id: 2, method: 'tools/list' })
  say({ method: 'notifications/cancelled', params: { requestId: 2 } })
  say({ id: 2, method: 'tools/call', params: { name: 'may' } })
  await expect.poll(() => client.length).toBe(2)
  expect(client[1]).toMatchObject({ id: 2, error: { code: -32600 } })
  answer({ id: 2, result: tools('may', 'not') })
  answer({ id: 2, result: tools('not') }) // an answer to nothing
  answer({ id: 1, result: {} })
  await expect
    .poll(() => client.slice(2))
    .toEqual([
      { jsonrpc: '2.0', id: 2, result: tools('may') },
      { jsonrpc: '2.0', id: 1, result: {} },
    ])
  expect(server.map((message) => (message as { method: string }).method)).toEqual(['ping', 'tools/list', 'notifications/cancelled'])
})

test('what is not allowed never reaches the server: calls, other methods, notifications that MCP does not name', async () => {
  const { say, client, server } = between()
  say({ id: 1, method: 'tools/call', params: { name: 'not' } })
  say({ id: 2, method: 'tools/call' })
  say({ id: 3, method: 'Tools/call', params: { name: 'not' } })
  say({ id: 4, method: 'resources/read', params: { uri: 'file:///a' } })
  say({ method: 'tools/call', params: { name: 'not' } })
  say({ id: 5, method: 'tools/call', params: { name: 'may' } })
  await expect.poll(() => server.length).toBe(1)
  expect(server).toMatchObject([{ id: 5 }])
  expect(client.map((one) => (one as { error: { code: number } }).error.code)).toEqual([-32001, -32001, -32001, -32001])
})

test('a peer that rotated its key may what its old id may, if rotations are followed; the file may be YAML', async () => {
  const [old, next] = [createIdentity().peerId, createIdentity().peerId]
  const path = join(folder, 'policy.yaml')
  await writeFile(path, `peers:\n  ${old}:\n    tools: [may]\n  "*":\n    tools: [also]\n`)
  const policy = await policyFile({ clock, log }, path)
  undo.push(() => policy.close())
  const statements = {
    standing: (id: string) => (id === old ? ({ is: 'rotated', peerId: old, to: next } as never) : ({ is: 'current', peerId: id } as never)),
    mark: () => '',
  }
  const authorized = authorizedPeers({ clock, log, statements, policy }, { ids: [], followRotations: true })
  undo.push(() => authorized.close())
  expect([old, next].map((id) => authorized.allows(id))).toEqual([false, true])
  expect(authorized.listedAs(next)).toEqual([old])
  const permit = policy.permit(authorized.listedAs(next))
  expect(['may', 'also', 'not'].map((name) => permit.judge({ kind: 'tool', name }).allowed)).toEqual([true, true, false])
  expect(policy.permit([]).judge({ kind: 'tool', name: 'also' }).allowed).toBe(false)
})
