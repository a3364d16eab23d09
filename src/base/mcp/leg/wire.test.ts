// A leg over a pipe whose server misbehaves: asks without listening, answers too much, or makes whoever waits throw.
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { linesWire } from '../../wire/lines.ts'
import { memoryWires } from '../../wire/memory.ts'
import { scan } from '../../wire/scan.ts'
import type { Sink } from '../../wire/wire.ts'
import { type Leg, type Outcome, neverAborted, noHeaders } from '../exchange.ts'
import { idToken, resultFrame, textOf } from '../message.ts'
import { wireLeg } from './wire.ts'

const request = (id: number): ReturnType<typeof scan> =>
  scan(Buffer.from(`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t"}}`))

test('a server that asks without end and never reads is not read any further', async () => {
  const [fromServer, toServer] = [new PassThrough(), new PassThrough()]
  let asked = 0
  const leg: Leg = wireLeg(linesWire(fromServer, toServer), 'legacy', 'deaf', { write: () => true, room: () => Promise.resolve() })
  const out: Sink = {
    write(frame) {
      asked++
      void leg.send(resultFrame(idToken(frame), {}), noHeaders)
      return true
    },
    room: () => Promise.resolve(),
  }
  void leg.request(request(1), noHeaders, out, neverAborted)
  let isFull = false
  for (let id = 0; id < 100_000 && !isFull; id++) {
    isFull = !fromServer.write(`{"jsonrpc":"2.0","id":${id},"method":"ping"}\n`)
    if (isFull) isFull = await Promise.race([new Promise<boolean>((resolve) => fromServer.once('drain', () => resolve(false))), quiet()])
  }
  expect(isFull).toBe(true)
  const before = asked
  expect(before).toBeLessThan(5_000)
  toServer.resume() // it reads at last, so it is read again
  await expect.poll(() => asked).toBeGreaterThan(before)
  fromServer.end()
  await leg.ended
})

/** True once the event loop has turned often enough for whatever was to happen. */
async function quiet(): Promise<boolean> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  return true
}

describe('answers', () => {
  const open = (out: (id: number) => Partial<Sink>): { say: (text: string) => void; outcomes: Promise<Outcome>[]; got: string[] } => {
    const [near, far] = memoryWires()
    const got: string[] = []
    const leg = wireLeg(near, 'legacy', 'odd', { write: () => true, room: () => Promise.resolve() })
    far.read({ write: () => true, room: () => Promise.resolve() })
    const outcomes = [1, 2].map((id) =>
      leg.request(
        request(id),
        noHeaders,
        { write: (frame) => !!got.push(textOf(frame)), room: () => Promise.resolve(), ...out(id) },
        neverAborted,
      ),
    )
    return { say: (text) => void far.write(scan(Buffer.from(`{"jsonrpc":"2.0",${text}}`))), outcomes, got }
  }

  test('whoever cannot take its answer fails alone', async () => {
    const { say, outcomes, got } = open((id) =>
      id === 1
        ? {
            write() {
              throw new Error('no')
            },
          }
        : {},
    )
    say('"id":1,"result":{}')
    say('"id":2,"result":{}')
    expect(await Promise.all(outcomes)).toMatchObject([{ is: 'unknown' }, { is: 'answered' }])
    expect(got).toHaveLength(1)
  })

  test('an error without an id is for nobody while two are open, and for the one that is left then', async () => {
    const { say, outcomes, got } = open(() => ({}))
    say('"id":null,"error":{"code":-32000,"message":"whose?"}')
    say('"id":1,"result":{}')
    expect(await outcomes[0]).toEqual({ is: 'answered' })
    say('"id":null,"error":{"code":-32000,"message":"too large"}')
    expect(await outcomes[1]).toEqual({ is: 'answered' })
    expect(got).toEqual(['{"jsonrpc":"2.0","id":1,"result":{}}', '{"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"too large"}}'])
  })
})
