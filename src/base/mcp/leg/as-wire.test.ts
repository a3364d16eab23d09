// A leg as a wire: a reader who takes nothing costs bounded memory and is not heard meanwhile, and then gets everything in order, or an error in its place.
import { expect, test } from 'vitest'
import { silentLog as log } from '../../../kernel/log.ts'
import { ByteBudget } from '../../wire/budget.ts'
import { type Frame, asBuffer } from '../../wire/frame.ts'
import { scan } from '../../wire/scan.ts'
import { type Leg, accepted, answered } from '../exchange.ts'
import { idToken, resultFrame } from '../message.ts'
import { legWire } from './as-wire.ts'

const answering = (result: unknown): Leg => ({
  era: 'legacy',
  tellsApart: false,
  async request(frame, _headers, out) {
    out.write(resultFrame(idToken(frame), result))
    return answered
  },
  send: async () => accepted,
  listen: async () => true,
  ended: new Promise(() => {}),
  close: async () => {},
})
const ping = (id: number): Frame => scan(Buffer.from(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`))
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function reader() {
  const got: { id: number; error?: { message: string } }[] = []
  let open = Promise.withResolvers<void>()
  let isFull = true
  return {
    got,
    write(frame: Frame) {
      got.push(JSON.parse(asBuffer(frame.bytes).toString()) as { id: number })
      return !isFull
    },
    room: () => (isFull ? open.promise : Promise.resolve()),
    resume() {
      isFull = false
      open.resolve()
      open = Promise.withResolvers()
    },
  }
}

test('who reads no answers is asked to wait, and gets all of them in the end', async () => {
  const budget = new ByteBudget()
  const wire = legWire({ name: 's', open: async () => answering({}), log, budget })
  const into = reader()
  wire.read(into)
  await settled()
  let sent = 0
  while (wire.write(ping(++sent)) && sent < 5_000) await settled()
  expect(sent).toBeLessThan(2_000)
  let hasRoom = false
  const room = wire.room().then(() => (hasRoom = true))
  await settled()
  expect(hasRoom).toBe(false)
  into.resume()
  await room
  await expect.poll(() => into.got.map(({ id }) => id)).toEqual(Array.from({ length: sent }, (_, i) => i + 1))
  expect(budget.heldBytes).toBe(0)
})

test('answers beyond the budget become errors, small ones never do, and close gives everything back', async () => {
  const budget = new ByteBudget(1 << 20)
  const large = legWire({ name: 's', open: async () => answering('x'.repeat(400 << 10)), log, budget })
  const into = reader()
  large.read(into)
  await settled()
  for (let id = 1; id <= 4; id++) large.write(ping(id))
  await settled()
  const small = legWire({ name: 's', open: async () => answering({}), log, budget })
  const other = reader()
  other.resume()
  small.read(other)
  small.write(ping(9))
  await expect.poll(() => other.got).toMatchObject([{ id: 9, result: {} }])
  into.resume()
  await expect
    .poll(() => into.got.map(({ id, error }) => [id, error?.message.includes('on their way already') ?? false]))
    .toEqual([
      [1, false],
      [2, false],
      [3, true],
      [4, true],
    ])
  expect(budget.heldBytes).toBe(0)
  const closing = legWire({ name: 's', open: async () => answering('x'.repeat(400 << 10)), log, budget })
  closing.read(reader())
  await settled()
  for (let id = 1; id <= 2; id++) closing.write(ping(id))
  await settled()
  expect(budget.heldBytes).toBeGreaterThan(400 << 10)
  await closing.close()
  await expect.poll(() => budget.heldBytes).toBe(0)
})
