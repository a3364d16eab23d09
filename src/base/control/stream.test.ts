// Operations that go on for a while: items in order, at the reader's pace, with an end that cannot be mistaken; and bytes on their way in.
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { type ServerResponse, createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { createTestClock } from '../../../test/kit/clock.ts'
import { later } from '../../../test/kit/cleanup.ts'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { faults } from '../../kernel/fault.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { type Api, type Handlers, beatMs, silenceMs } from './api.ts'
import { controlClient } from './client.ts'
import { openControl } from './server.ts'

const nothing = z.strictObject({})
const api = {
  count: {
    privilege: 'observe',
    summary: 'count',
    input: z.strictObject({ to: z.number() }),
    stream: z.number(),
    output: z.strictObject({ counted: z.number() }),
  },
  flood: { privilege: 'observe', summary: 'much', input: nothing, stream: z.string(), output: nothing },
  follow: { privilege: 'observe', summary: 'until it is enough', input: nothing, stream: z.string(), output: nothing },
  put: {
    privilege: 'change',
    summary: 'bytes',
    input: z.strictObject({ name: z.string().max(20) }),
    upload: true,
    output: z.strictObject({ sha256: z.string() }),
  },
} as const satisfies Api
const fault = faults('lamp', { broken: (d: { at: number }) => ({ kind: 'conflict', message: `broke at ${d.at}` }) })

let folder: string
let said: number
let ended: unknown
let readPaused: Promise<void> | undefined
const handlers: Handlers<typeof api> = {
  count: async ({ to }, { say }) => {
    for (let n = 0; n < to; n++) await say(n)
    if (to < 5) throw fault.broken({ at: to })
    return { counted: to }
  },
  flood: async (_, { say }) => {
    try {
      for (said = 0; said < 2_000; said++) await say('x'.repeat(10_000))
    } catch (error) {
      ended = error
      throw error
    }
    return {}
  },
  follow: async (_, { say, signal }) => {
    await say('begun')
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    ended = signal.reason
    return {}
  },
  put: async (_, { upload }) => {
    const hash = createHash('sha256')
    try {
      for await (const part of upload) {
        await readPaused
        hash.update(part)
      }
    } catch (error) {
      ended = error
      throw error
    }
    return { sha256: hash.digest('hex') }
  },
}
const open = (clock: Clock = systemClock): Promise<AsyncDisposable> =>
  openControl({ api, handlers, clock, log }, { daemon: 'lamp', folder })
const calls = (clock?: Clock) => controlClient(api, { daemon: 'lamp', folder, privilege: 'change' }, clock).calls

beforeEach(() => {
  ;[said, ended, readPaused] = [0, undefined, undefined]
  const above = mkdtempSync(join(tmpdir(), 'stream-'))
  later(() => rmSync(above, { recursive: true, force: true }))
  folder = join(above, 'run')
})
const served = async (clock?: Clock): Promise<AsyncDisposable> => {
  const control = await open(clock)
  later(() => control[Symbol.asyncDispose]())
  return control
}

test('items come in order, then the result', async () => {
  await served()
  const items: number[] = []
  expect(await calls().count({ to: 1_000 }, { onItem: (n) => void items.push(n) })).toEqual({ counted: 1_000 })
  expect(items).toEqual(Array.from({ length: 1_000 }, (_, n) => n))
  expect(await calls().count({ to: 5 })).toEqual({ counted: 5 }) // nobody has to listen
})

test('a fault comes back whole: with its status before the first item, as the last line after it', async () => {
  await served()
  const items: number[] = []
  await expect(calls().count({ to: 0 })).rejects.toMatchObject({ code: 'lamp.broken', details: { at: 0 } })
  await expect(calls().count({ to: 2 }, { onItem: (n) => void items.push(n) })).rejects.toMatchObject({
    code: 'lamp.broken',
    details: { at: 2 },
  })
  expect(items).toEqual([0, 1])
  expect(await raw('count', { to: 0 })).toMatchObject({ status: 409, type: 'application/json' })
  expect(await raw('count', { to: 2 })).toMatchObject({
    status: 200,
    type: 'application/x-ndjson',
    lines: ['{"item":0}', '{"item":1}', expect.stringMatching(/^\{"error":/), ''],
  })
})

test('a reader that does not read holds the teller, not the memory', async () => {
  await served()
  let go = (): void => {}
  const paused = new Promise<void>((resolve) => (go = resolve))
  let heard = 0
  const flood = calls().flood({}, { onItem: () => (heard++ === 0 ? paused : undefined) })
  await vi.waitFor(() => expect(said).toBeGreaterThan(10))
  let before = -1
  await vi.waitFor(
    () => {
      const same = said === before
      before = said
      expect(same).toBe(true)
    },
    { interval: 200, timeout: 10_000 },
  )
  expect(said).toBeLessThan(200) // of 2,000: what fits into the buffers of the socket
  go()
  await flood
  expect([heard, said]).toEqual([2_000, 2_000])
})

test('who goes away is noticed: the teller is told, and stops', async () => {
  await served()
  const leave = new AbortController()
  const why = new Error('enough')
  await expect(calls().follow({}, { signal: leave.signal, onItem: () => leave.abort(why) })).rejects.toBe(why)
  await vi.waitFor(() => expect(ended).toMatchObject({ code: 'control.client_gone' }))
  ended = undefined
  await expect(calls().flood({}, { onItem: () => Promise.reject(why) })).rejects.toBe(why)
  await vi.waitFor(() => expect(ended).toMatchObject({ code: 'control.client_gone' }))
  expect(said).toBeLessThan(2_000)
})

test('a stream with nothing to say beats; silence of the daemon ends the call, a paused reader does not', async () => {
  const [clock, clientClock] = [createTestClock(), createTestClock()]
  await served(clock)
  let text = ''
  const asking = request({ socketPath: join(folder, 'change.sock'), method: 'POST', path: '/v1/follow', agent: false }, (response) => {
    response.setEncoding('utf8').on('data', (part: string) => (text += part))
    response.on('error', () => {})
  })
  asking.on('error', () => {}).end('{}')
  later(() => asking.destroy())
  await vi.waitFor(() => expect(text).toBe('{"item":"begun"}\n'))
  await clock.advance(beatMs * 2)
  await vi.waitFor(() => expect(text).toBe('{"item":"begun"}\n\n'))

  let go = (): void => {}
  const paused = new Promise<void>((resolve) => (go = resolve))
  let isHeld = false
  const call = calls(clientClock).follow({}, { onItem: () => ((isHeld = true), paused) })
  call.catch(() => {})
  await vi.waitFor(() => expect(isHeld).toBe(true))
  expect(clientClock.waiting).toBe(0) // the item is being taken: nobody counts the time
  go()
  await vi.waitFor(() => expect(clientClock.waiting).toBe(1))
  await clientClock.advance(silenceMs)
  await expect(call).rejects.toMatchObject({ code: 'control.answer_cut', kind: 'unavailable' })
})

test('an answer without an end is none', async () => {
  mkdirSync(folder)
  let answer: (response: ServerResponse) => void = () => {}
  const server = createServer((incoming, response) => {
    incoming.resume()
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    answer(response)
  })
  await new Promise<void>((resolve) => server.listen(join(folder, 'change.sock'), resolve))
  later(() => void server.close())
  answer = (response) => void response.end('{"item":0}\n')
  await expect(calls().count({ to: 9 })).rejects.toMatchObject({ code: 'control.answer_cut' })
  answer = (response) => void response.write('{"item":0}\n', () => response.destroy())
  await expect(calls().count({ to: 9 })).rejects.toMatchObject({ code: 'control.answer_cut' })
  for (const line of ['{"item":"zero"}', '{}', 'null', '[', '{"result":{"counted":"x"}}', '{"error":{}}']) {
    answer = (response) => void response.end(`${line}\n`)
    await expect(calls().count({ to: 9 }), line).rejects.toMatchObject({ code: 'control.strange_answer' })
  }
  answer = (response) => void response.end('x'.repeat(9 << 20))
  await expect(calls().count({ to: 9 })).rejects.toMatchObject({
    code: 'control.strange_answer',
    message: expect.stringContaining('8388608 bytes'),
  })
})

test('a daemon that stops ends its streams in order', async () => {
  const control = await served()
  let begun = (): void => {}
  const isBegun = new Promise<void>((resolve) => (begun = resolve))
  const call = calls().follow({}, { onItem: () => begun() })
  await isBegun
  await control[Symbol.asyncDispose]()
  expect(await call).toEqual({})
  expect(ended).toMatchObject({ code: 'control.stopping' })
})

async function* bytes(count: number, onPart: (n: number) => void = () => {}): AsyncGenerator<Uint8Array> {
  for (let n = 0; n < count; n++) {
    onPart(n)
    yield Buffer.alloc(64 << 10, n)
  }
}

test('an upload arrives as it was sent, and no faster than it is taken', async () => {
  await served()
  const hash = createHash('sha256')
  for await (const part of bytes(1_000)) hash.update(part)
  let go = (): void => {}
  readPaused = new Promise((resolve) => (go = resolve))
  let sent = 0
  const call = calls().put({ name: 'a' }, { upload: bytes(1_000, (n) => (sent = n)) })
  let before = -1
  await vi.waitFor(
    () => {
      const same = sent === before && sent > 0
      before = sent
      expect(same).toBe(true)
    },
    { interval: 200, timeout: 10_000 },
  )
  expect(sent).toBeLessThan(100)
  go()
  expect(await call).toEqual({ sha256: hash.digest('hex') })
})

test('an upload that is refused ends before it is sent; one that is cut is no upload; its own error comes back', async () => {
  await served()
  let sent = 0
  await expect(calls().put({ name: 'x'.repeat(21) }, { upload: bytes(1_000_000, (n) => (sent = n)) })).rejects.toMatchObject({
    code: 'control.bad_input',
  })
  expect(sent).toBeLessThan(10_000)
  const why = new Error('the disk is gone')
  await expect(
    calls().put(
      { name: 'a' },
      {
        upload: bytes(100, (n) => {
          if (n === 50) throw why
        }),
      },
    ),
  ).rejects.toBe(why)
  await vi.waitFor(() => expect(ended).toMatchObject({ code: expect.stringMatching(/^control\.(?:request_cut|client_gone)$/) }))
})

function raw(name: string, input: unknown): Promise<{ status: number; type: string; lines: string[] }> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath: join(folder, 'change.sock'), method: 'POST', path: `/v1/${name}`, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.on('end', () => resolve({ status: response.statusCode!, type: response.headers['content-type']!, lines: text.split('\n') }))
    })
    asking.on('error', reject).end(JSON.stringify(input))
  })
}
