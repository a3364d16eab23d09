// The budget of bytes in flight: who comes when it is spent gets an error and lives on, and all that was taken comes back.
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { answeredLine } from './bad-line.ts'
import { ByteBudget } from './budget.ts'
import { type Frame, asBuffer } from './frame.ts'
import { linesWire } from './lines.ts'
import { scan } from './scan.ts'
import { defaultLimits } from './walk.ts'

const KiB = 1 << 10
const call = (id: number, sizeBytes: number): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"m","params":{"x":"${'x'.repeat(sizeBytes)}"}}`

function wireWith(budget: ByteBudget) {
  const [from, to] = [new PassThrough(), new PassThrough({ highWaterMark: 1 << 24 })]
  const got: Frame[] = []
  const wire = linesWire(from, to, {
    limits: { ...defaultLimits, budget },
    onBadLine: (problem) => answeredLine(problem, (frame) => wire.write(frame)),
  })
  wire.read({ write: (frame) => got.push(frame) > 0, room: () => Promise.resolve() })
  let text = ''
  to.setEncoding('utf8').on('data', (more: string) => (text += more))
  const answers = (): unknown[] => {
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as unknown)
  }
  return { wire, from, got, answers }
}

test('of half-read lines, the one that finds no room is answered; small ones always pass, and room comes back', async () => {
  const budget = new ByteBudget(1024 * KiB)
  const [ann, bob] = [wireWith(budget), wireWith(budget)]
  ann.from.write(call(1, 700 * KiB))
  await expect.poll(() => budget.heldBytes).toBeGreaterThan(700 * KiB)
  bob.from.write(call(2, 700 * KiB))
  bob.from.write(`\n${call(3, 10)}\n`)
  await expect.poll(() => bob.got.length).toBe(1)
  await expect
    .poll(() => bob.answers())
    .toMatchObject([
      {
        id: 2,
        error: {
          code: -32000,
          message: expect.stringContaining('on their way already') as string,
          data: { reason: 'wire.no_room', hint: 'try again' },
        },
      },
    ])
  ann.from.write('\n')
  await expect.poll(() => ann.got.length).toBe(1)
  expect(budget.heldBytes).toBe(0)
  bob.from.write(`${call(4, 700 * KiB)}\n`)
  await expect.poll(() => bob.got.length).toBe(2)
  ann.from.write(call(5, 700 * KiB))
  await expect.poll(() => budget.heldBytes).toBeGreaterThan(0)
  ann.from.destroy() // half a line
  await ann.wire.ended
  expect(budget.heldBytes).toBe(0)
})

test('an answer that there is no room for is passed on as an error', async () => {
  const budget = new ByteBudget(100 * KiB)
  const { from, got } = wireWith(budget)
  from.write(`{"jsonrpc":"2.0","id":"a","result":{"x":"${'x'.repeat(200 * KiB)}`)
  from.write('"}}\n')
  await expect
    .poll(() => got.map((frame) => JSON.parse(asBuffer(frame.bytes).toString()) as unknown))
    .toMatchObject([{ id: 'a', error: { code: -32000, data: { code: 'wire.no_room' } } }])
})

test('what waits to be read by the other side counts, until it has left or never will', async () => {
  const budget = new ByteBudget()
  const [from, to] = [new PassThrough(), new PassThrough({ highWaterMark: 1 })]
  const wire = linesWire(from, to, { limits: { ...defaultLimits, budget } })
  for (let id = 0; id < 3; id++) wire.write(scan(Buffer.from(call(id, 500 * KiB))))
  await expect.poll(() => budget.heldBytes).toBeGreaterThan(900 * KiB)
  to.resume()
  await expect.poll(() => budget.heldBytes).toBe(0)
  to.pause()
  for (let id = 0; id < 3; id++) wire.write(scan(Buffer.from(call(id, 500 * KiB))))
  to.destroy()
  await expect.poll(() => budget.heldBytes).toBe(0)
})
