// The record of calls as somebody else reads it: every call begins in it before it is made, ends in it before it is answered, and nothing secret stands in it.
import { spawn, spawnSync } from 'node:child_process'
import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fixtureCommand } from '../kit/fixture/process.ts'
import { later } from '../kit/cleanup.ts'
import {
  type Line,
  type RunningGate,
  answeredWithin,
  call,
  gateFor,
  ledgerLines,
  modern,
  openSession,
  post,
  unrulyServer,
  send,
  temporaryFolder,
  textOf,
  until,
} from './bed.ts'
import { main } from '../kit/program.ts'

/** The digest of arguments as spec/ledger.md has it, computed apart from our code. */
function digestOf(gate: RunningGate, seq: number, argumentBytes: string): string {
  const secret = readFileSync(join(gate.folder, 'state', 'ledger.secret'), 'utf8').trim()
  const salt = createHmac('sha256', secret).update(String(seq)).digest()
  return createHash('sha256').update(salt).update(argumentBytes).digest('base64url')
}

const events = (lines: readonly Line[], event: string): Line[] => lines.filter((line) => line.event === event)

test('attack 29: each call leaves its begin and its end: who, what, how it came out, and a digest that only the secret can prove', async () => {
  const gate = await gateFor({ upstreams: { up: { command: fixtureCommand } } })
  const session = await openSession(gate.url('up'))
  const args = '{ "text" : "grüße", "n":1.0e2}'
  const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  await send(
    gate.url('up'),
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":${args},"_meta":{"traceparent":"${trace}"}}}`,
    { session },
  )
  await call(gate.url('up'), 'no such tool', {}, { session })
  await modern(gate.url('up'), 'tools/call', { name: 'echo', arguments: { text: 'b' } }, { token: gate.token })
  await post(gate.url('up'), 'resources/read', { uri: 'test://static-text' }, { session })
  await post(gate.url('up'), 'prompts/get', { name: 'test_simple_prompt' }, { session })
  await post(gate.url('up'), 'tools/list', {}, { session })
  const lines = ledgerLines(gate)
  const begun = events(lines, 'call.begin')
  expect(begun.map(({ principal, via, upstream, method, name }) => [principal, via, upstream, method, name])).toEqual([
    ['conformance', 'door', 'up', 'tools/call', 'echo'],
    ['conformance', 'door', 'up', 'tools/call', 'no such tool'],
    ['owner', 'token', 'up', 'tools/call', 'echo'],
    ['conformance', 'door', 'up', 'resources/read', 'test://static-text'],
    ['conformance', 'door', 'up', 'prompts/get', 'test_simple_prompt'],
  ])
  expect([begun[0]!['trace'], begun[0]!['parent']]).toEqual(trace.split('-').slice(1, 3))
  expect(begun[1]).not.toHaveProperty('trace')
  expect(begun[0]!['arguments']).toBe(digestOf(gate, begun[0]!.seq, args))
  expect(begun[2]!['arguments']).toBe(digestOf(gate, begun[2]!.seq, '{"text":"b"}'))
  expect(begun[0]!['arguments']).not.toBe(digestOf(gate, begun[0]!.seq + 1, args))
  const ended = events(lines, 'call.end')
  expect(ended.map(({ begin }) => begin)).toEqual(begun.map(({ seq }) => seq))
  expect(ended.map(({ outcome }) => outcome)).toEqual(['ok', expect.stringMatching(/error/), 'ok', 'ok', 'ok'])
  expect(ended.every(({ ms }) => typeof ms === 'number' && ms >= 0)).toBe(true)
  expect(statSync(join(gate.folder, 'state', 'ledger.secret')).mode & 0o777).toBe(0o600)
  expect(readFileSync(join(gate.folder, 'state', 'ledger', 'ledger.jsonl'), 'utf8')).not.toContain('grüße')
})

test('attack 29: begin is in the file before the server has the call, and end before the client has the answer', async () => {
  const far = unrulyServer('late=150')
  const gate = await gateFor({ upstreams: { up: { command: far.command } } })
  const session = await openSession(gate.url('up'))
  for (let i = 1; i <= 5; i++) {
    const answer = call(gate.url('up'), 'echo', { text: 'x' }, { session })
    await until('the server has it', () => far.callsOf('echo') === i)
    expect(events(ledgerLines(gate), 'call.begin')).toHaveLength(i)
    expect(events(ledgerLines(gate), 'call.end')).toHaveLength(i - 1)
    await answer
    expect(events(ledgerLines(gate), 'call.end')).toHaveLength(i)
  }
})

test('attack 29: killed at any moment, the record has every call that any server got and every answer that any client got', async () => {
  for (let round = 0; round < 4; round++) {
    const far = unrulyServer()
    const gate = await gateFor({ upstreams: { up: { command: far.command } } })
    const session = await openSession(gate.url('up'))
    let answered = 0
    const down = new AbortController()
    const client = async (): Promise<void> => {
      while (!down.signal.aborted)
        await call(gate.url('up'), 'echo', { text: 'x' }, { session }).then(
          (answer) => (answered += textOf(answer) === 'x' ? 1 : 0),
          () => {},
        )
    }
    const clients = [client(), client(), client(), client()]
    await until('calls are made', () => answered > 20 + round * 7)
    await gate.stop('SIGKILL')
    down.abort()
    await Promise.all(clients)
    const lines = ledgerLines(gate)
    expect(events(lines, 'call.begin').length).toBeGreaterThanOrEqual(far.callsOf('echo'))
    expect(events(lines, 'call.end').length).toBeGreaterThanOrEqual(answered)
  }
})

describe('fairlead gate ledger verify', () => {
  function verify(folder: string, ...more: string[]): { exitCode: number | null; stdout: string; stderr: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'gate', 'ledger', 'verify', folder, ...more], {
      encoding: 'utf8',
    })
    return { exitCode: status, stdout, stderr }
  }

  test('says in words that it is intact, or which entry is the first bad one; exit code 0 or 3', async () => {
    const gate = await gateFor({ upstreams: { up: { command: unrulyServer().command } } })
    const session = await openSession(gate.url('up'))
    for (let i = 0; i < 5; i++) await call(gate.url('up'), 'echo', { text: String(i) }, { session })
    await gate.stop('SIGKILL')
    const folder = join(gate.folder, 'state', 'ledger')
    const count = ledgerLines(gate).length
    expect(verify(folder)).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(new RegExp(`^intact: ${count} entries, last ${count} `)) as string,
    })
    expect(JSON.parse(verify(folder, '--json').stdout)).toMatchObject({ intact: true, entries: count })
    const path = join(folder, 'ledger.jsonl')
    const bytes = readFileSync(path)
    bytes[bytes.indexOf('"echo"') + 1]! ^= 1
    writeFileSync(path, bytes)
    const altered = verify(folder)
    expect(altered.exitCode).toBe(3)
    expect(altered.stdout).toMatch(/^not intact: ledger\.jsonl line 1, entry 1: altered/)
    expect(JSON.parse(verify(folder, '--json').stdout)).toMatchObject({ intact: false, firstBad: { line: 1, seq: 1 } })
    expect(verify(join(folder, 'nowhere'))).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining(`there is no ledger in ${folder}/nowhere`) as string,
    })
    expect(() => ledgerLines(gate)).toThrow('another hash')
  })
})

/** A small file system of its own. Only root can have one. */
function smallDisk(sizeKiB: number): string | undefined {
  const folder = temporaryFolder()
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeKiB}k`, 'tmpfs', folder]).status !== 0) return undefined
  later(() => spawnSync('umount', ['-l', folder]))
  return folder
}

test('attack 30: on a full disk calls are refused and never made, lists go on, health says so, and it mends by itself', async (context) => {
  const disk = smallDisk(3_072)
  if (disk === undefined) return context.skip('mounting a small file system takes root')
  const far = unrulyServer()
  const gate = await gateFor({ upstreams: { up: { command: far.command } }, folder: disk })
  const session = await openSession(gate.url('up'))
  expect(textOf(await call(gate.url('up'), 'echo', { text: 'x' }, { session }))).toBe('x')
  const health = async () => {
    const response = await fetch(`http://127.0.0.1:${gate.port}/readyz`)
    return [response.status, ((await response.json()) as { checks: { ledger: { ok: boolean; reason: string } } }).checks.ledger] as const
  }
  expect(await health()).toEqual([200, { ok: true, reason: 'the last entry was written' }])
  const filler = join(disk, 'filler')
  const fill = spawn('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k'], { stdio: 'ignore' })
  await once(fill, 'exit')
  let refused = await call(gate.url('up'), 'echo', { text: 'y' }, { session })
  for (let i = 0; i < 200 && !refused.body.error; i++) refused = await call(gate.url('up'), 'echo', { text: 'y' }, { session })
  expect(refused.body.error).toMatchObject({ data: { code: 'gate.unrecorded', sent: false } })
  expect(refused.body.error!.message).toContain('ENOSPC')
  const made = far.callsOf('echo')
  expect((await call(gate.url('up'), 'echo', { text: 'z' }, { session })).body.error).toBeDefined()
  expect(far.callsOf('echo')).toBe(made)
  expect((await post(gate.url('up'), 'tools/list', {}, { session })).body.result).toHaveProperty('tools')
  expect(await health()).toEqual([503, { ok: false, reason: expect.stringContaining('ENOSPC') as string }])
  spawnSync('rm', [filler])
  await answeredWithin(8_000, async () => expect(textOf(await call(gate.url('up'), 'echo', { text: 'on' }, { session }))).toBe('on'))
  expect((await health())[0]).toBe(200)
  expect(ledgerLines(gate).some(({ ledger }) => ledger === 'resumed')).toBe(true)
})
