// A child as a wire: frames, garbage, over-long lines, ends.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { createLog, silentLog as log } from '../../kernel/log.ts'
import { type Frame, asBuffer } from '../wire/frame.ts'
import { scan } from '../wire/scan.ts'
import type { Wire } from '../wire/wire.ts'
import { type Child, startChild } from './child.ts'
import { type Guard, startGuard } from './guard.ts'
import { isRunning, until } from './processes.fixture.ts'
import { childWire } from './wire.ts'

let guard: Guard
beforeAll(() => {
  guard = startGuard({ clock, log })
})
afterAll(() => guard.close())

type Opened = { child: Child; wire: Wire; texts: string[]; logged: string[] }
async function open(script: string): Promise<Opened> {
  const logged: string[] = []
  const child = await startChild({ guard, clock, log }, { name: 'server', argv: [process.execPath, '-e', script], env: {} })
  const wire = childWire(child, {
    log: createLog(
      (line) => logged.push(line),
      () => 0,
    ),
    name: 'server',
  })
  const texts: string[] = []
  wire.read({ write: (frame: Frame) => texts.push(asBuffer(frame.bytes).toString()) > 0, room: () => Promise.resolve() })
  return { child, wire, texts, logged }
}
const ping = (id: number): Frame => scan(Buffer.from(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`))
const say = (id: number): string => `{"jsonrpc":"2.0","id":${id},"result":{}}`

test('frames there and back, then an orderly end', async () => {
  const { child, wire, texts } = await open('process.stdin.pipe(process.stdout)')
  for (let id = 0; id < 100; id++) wire.write(ping(id))
  await until('all came back', () => texts.length === 100)
  await wire.close()
  expect(await wire.ended).toEqual({ why: 'closed' })
  expect(isRunning(child.pid)).toBe(false)
  expect(await child.ended).toMatchObject({ exitCode: 0 })
})

test('a child that ends, or only closes its output, ends the wire as eof', async () => {
  const ending = await open(`console.log('${say(1)}')`)
  expect(await ending.wire.ended).toEqual({ why: 'eof' })
  expect(ending.texts).toEqual([say(1)])
  const closing = await open(`process.stdout.end(); setInterval(() => {}, 1000); process.on('SIGTERM', () => {})`)
  expect(await closing.wire.ended).toEqual({ why: 'eof' })
  await closing.child.gone
  expect(isRunning(closing.child.pid)).toBe(false)
})

test('some garbage is skipped and logged', async () => {
  const { wire, texts, logged } = await open(
    `const junk = () => { for (let i = 0; i < 16; i++) console.log('Listening on stdio ' + i) }; junk(); console.log('${say(1)}'); junk(); console.log('${say(2)}'); process.stdin.resume()`,
  )
  await until('both frames', () => texts.length === 2)
  expect(texts).toEqual([say(1), say(2)])
  expect(logged).toHaveLength(32)
  await wire.close()
})

test.each([
  ['17 lines in a row', `for (;;) console.log('ready')`],
  ['101 lines in all', `for (;;) { for (let i = 0; i < 9; i++) console.log('ready'); console.log('${say(1)}') }`],
])('%s end the wire as garbage, and the child', async (_, script) => {
  const { child, wire, logged } = await open(script)
  expect(await wire.ended).toMatchObject({ why: 'garbage' })
  await child.gone
  expect(isRunning(child.pid)).toBe(false)
  expect(logged.length).toBeLessThanOrEqual(101)
})

test('a line of 100 MB costs no memory and not the wire', async () => {
  const before = process.memoryUsage()
  let most = 0
  const { child, wire, texts, logged } = await open(
    `const piece = 'x'.repeat(1 << 20); for (let i = 0; i < 100; i++) require('fs').writeSync(1, piece); console.log(''); console.log('${say(7)}'); process.stdin.resume()`,
  )
  child.stdout.on('data', () => (most = Math.max(most, process.memoryUsage().rss)))
  await until('the frame behind it', () => texts.length === 1, 20_000)
  expect(texts).toEqual([say(7)])
  expect(logged).toHaveLength(1)
  expect((most - before.rss) / (1 << 20)).toBeLessThan(64)
  await wire.close()
})

test.each([
  ['an id before', `'{"jsonrpc":"2.0","id":"a","result":{"x":"'`, `'"}}'`, '"a"'],
  ['an id behind', `'{"result":{"x":"'`, `'"},"jsonrpc":"2.0","id":5}'`, '5'],
  ['no id', `'{"result":{"x":"'`, `'"}}'`, 'null'],
])('an answer over the limit arrives as an error: %s', async (_what, head, tail, id) => {
  const { wire, texts, logged } = await open(
    `require('fs').writeSync(1, ${head}); ${'require("fs").writeSync(1, "x".repeat(1 << 20));'.repeat(9)} console.log(${tail}); console.log('${say(7)}'); process.stdin.resume()`,
  )
  await until('the frame behind it', () => texts.length === 2, 20_000)
  expect(JSON.parse(texts[0]!)).toMatchObject({
    id: JSON.parse(id) as unknown,
    error: { code: -32_000, message: `the answer is larger than ${8 << 20} bytes`, data: { code: 'wire.too_large' } },
  })
  expect(texts[1]).toBe(say(7))
  expect(logged).toHaveLength(1)
  await wire.close()
})

test('an over-long request of the server is skipped: nobody waits for it', async () => {
  const { wire, texts } = await open(
    `console.log('{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"x":"' + 'x'.repeat(9 << 20) + '"}}'); console.log('${say(7)}'); process.stdin.resume()`,
  )
  await until('the frame behind it', () => texts.length === 1, 20_000)
  expect(texts).toEqual([say(7)])
  await wire.close()
})

test('close() ends a child that reads nothing, whatever still waits to be written', async () => {
  const { child, wire } = await open('setInterval(() => {}, 1000)')
  while (wire.write(ping(1)));
  await wire.close()
  expect(isRunning(child.pid)).toBe(false)
})

test('a child that dies while it is written to does no harm', async () => {
  const { child, wire } = await open('process.stdin.once("data", () => process.kill(process.pid, "SIGKILL"))')
  const flood = (): void => {
    for (let at = 0; at < 1_000; at++) wire.write(ping(at))
  }
  flood()
  const { why } = await wire.ended
  expect(['eof', 'cut']).toContain(why)
  flood()
  await wire.room()
  expect(await child.ended).toMatchObject({ signal: 'SIGKILL' })
})
