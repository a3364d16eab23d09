// What is thrown behind the wire door: it ends no process, every request has one answer, and whoever asked is told.
import { afterEach, expect, test } from 'vitest'
import { memoryWires } from '../../wire/memory.ts'
import { scan } from '../../wire/scan.ts'
import type { Wire } from '../../wire/wire.ts'
import { type Handler, answered } from '../exchange.ts'
import { idToken, resultFrame, textOf } from '../message.ts'
import type { Endpoint, Session } from '../scopes.ts'
import { serveWire } from './wire.ts'

/** Throws at every notification, and whatever else its name says, after its answer if it has one. */
const handle: Handler = async ({ frame }, out) => {
  if (frame.kind === 'request' && frame.method !== 'throw') out.write(resultFrame(idToken(frame), { of: frame.method }))
  if (frame.method === 'lost') return { is: 'refused', reason: 'too late' }
  if (frame.method === 'ping' || frame.method === 'initialize') return answered
  throw new Error(`thrown at ${frame.method}`)
}
const session: Session = {
  id: 's',
  handle,
  listen: () => Promise.resolve(true),
  close: () => Promise.reject(new Error('the disk is full')),
}
const endpoint: Endpoint = {
  name: 'throwing',
  handle,
  open: async (exchange, out) => ({ session, outcome: await handle(exchange, out) }),
  find: () => Promise.resolve(session),
}

const unhandled: unknown[] = []
const onUnhandled = (reason: unknown): void => void unhandled.push(reason)
afterEach(() => {
  process.off('unhandledRejection', onUnhandled)
  unhandled.length = 0
})

function open(): { near: Wire; got: string[]; failures: string[]; say: (text: string) => void } {
  process.on('unhandledRejection', onUnhandled)
  const [near, far] = memoryWires()
  const failures: string[] = []
  const got: string[] = []
  serveWire(far, endpoint, { name: 'me', via: 'door' }, (error) => void failures.push((error as Error).message))
  near.read({ write: (frame) => !!got.push(textOf(frame)), room: () => Promise.resolve() })
  return { near, got, failures, say: (text) => void near.write(scan(Buffer.from(`{"jsonrpc":"2.0",${text}}`))) }
}
const initialize = (id: number): string => `"id":${id},"method":"initialize","params":{}`

test('what a notification causes is reported, and the next request answered', async () => {
  const { got, failures, say } = open()
  say(initialize(1))
  say('"method":"notifications/x"')
  say('"id":2,"method":"ping"')
  await expect.poll(() => got.length).toBe(2)
  await expect.poll(() => failures).toEqual(['thrown at notifications/x'])
  expect(unhandled).toEqual([])
})

test.each(['broken', 'lost', 'throw'])('a request has one answer, whatever comes after it: %s', async (method) => {
  const { got, say } = open()
  say(initialize(1))
  say(`"id":2,"method":"${method}"`)
  say('"id":3,"method":"ping"')
  await expect.poll(() => got.some((text) => text.includes('"id":3'))).toBe(true)
  await expect.poll(() => got.filter((text) => text.includes('"id":2')).length).toBe(1)
  expect(got.find((text) => text.includes('"id":2'))).toContain(method === 'throw' ? '-32603' : '"result"')
})

test('a session that cannot be closed harms neither the one after it nor the door', async () => {
  const { near, got, failures, say } = open()
  say(initialize(1))
  await expect.poll(() => got.length).toBe(1)
  say(initialize(2))
  await expect.poll(() => got.length).toBe(2)
  expect(got[1]).toContain('"result"')
  await near.close()
  await expect.poll(() => failures).toEqual(['the disk is full', 'the disk is full'])
  expect(unhandled).toEqual([])
})
