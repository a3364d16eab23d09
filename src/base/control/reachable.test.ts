// A daemon that is asked through somebody in front of it: answers, items and faults come as they were given, and who goes away ends the call at the far end.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { later } from '../../../test/kit/cleanup.ts'
import { systemClock } from '../../kernel/clock.ts'
import { faults } from '../../kernel/fault.ts'
import { silentLog as log } from '../../kernel/log.ts'
import type { Api, Handlers } from './api.ts'
import { controlClient } from './client.ts'
import { findReachable, folderInUse, reachable } from './reachable.ts'
import { openControl } from './server.ts'

const nothing = z.strictObject({})
const api = {
  double: { privilege: 'observe', summary: 'twice as much', input: z.strictObject({ of: z.number() }), output: z.number() },
  who: { privilege: 'observe', summary: 'who calls', input: nothing, output: z.string() },
  follow: { privilege: 'observe', summary: 'until it is enough', input: nothing, stream: z.number(), output: nothing },
  put: { privilege: 'change', summary: 'bytes', input: nothing, upload: true, output: nothing },
} as const satisfies Api
const fault = faults('lamp', { broken: () => ({ kind: 'conflict', message: 'it is broken', hint: 'mend it' }) })

let folder: string
let farEnded: Promise<void>

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reachable-'))
  later(() => rmSync(folder, { recursive: true, force: true }))
  const over = Promise.withResolvers<void>()
  farEnded = over.promise
  const handlers: Handlers<typeof api> = {
    double: async ({ of }) => {
      if (of === 0) throw fault.broken({})
      return 2 * of
    },
    who: async (_, { caller }) => `${caller.name} via ${caller.via}`,
    follow: async (_, { say, signal }) => {
      signal.addEventListener('abort', () => over.resolve(), { once: true })
      for (let n = 1; ; n++) {
        await say(n)
        await systemClock.wait(5, signal)
      }
    },
    put: async () => ({}),
  }
  const control = await openControl({ api, handlers, clock: systemClock, log }, { daemon: 'lamp', folder: join(folder, 'lamp') })
  later(() => control[Symbol.asyncDispose]())
})

const lamp = () => {
  const client = () => controlClient(api, { daemon: 'lamp', folder: join(folder, 'lamp'), privilege: 'change' }).calls
  return reachable({ id: 'lamp', kind: 'lamp', name: 'lamp', where: folder }, api, client)
}
const caller = { name: 'ann', via: 'dashboard' } as const
type AnyHandler = (input: unknown, call: object) => Promise<unknown>

test('answers and faults come as the daemon gave them; uploads are not offered', async () => {
  const { handlers, api: offered } = lamp()
  const double = handlers['double'] as AnyHandler
  const { signal } = new AbortController()
  expect(await double({ of: 21 }, { caller, signal })).toBe(42)
  await expect(double({ of: 0 }, { caller, signal })).rejects.toMatchObject({ code: 'lamp.broken', kind: 'conflict', hint: 'mend it' })
  expect(Object.keys(offered)).toEqual(['double', 'who', 'follow'])
  expect(Object.keys(handlers)).toEqual(['double', 'who', 'follow'])
})

test('the daemon is told for whom it is called', async () => {
  const { signal } = new AbortController()
  expect(await (lamp().handlers['who'] as AnyHandler)({}, { caller: { ...caller, name: 'Ännchen, 2' }, signal })).toBe(
    'Ännchen, 2 via socket',
  )
  const plain = controlClient(api, { daemon: 'lamp', folder: join(folder, 'lamp'), privilege: 'observe' }).calls
  expect(await plain.who({})).toBe('local via socket')
})

test('items come one by one, and who goes away ends the call at the far end', async () => {
  const gone = new AbortController()
  const items: unknown[] = []
  const say = async (item: unknown): Promise<void> => {
    items.push(item)
    if (items.length === 3) gone.abort(new Error('gone'))
  }
  await expect((lamp().handlers['follow'] as AnyHandler)({}, { caller, signal: gone.signal, say })).rejects.toThrow('gone')
  await farEnded
  expect(items).toEqual([1, 2, 3])
})

test('a capability that cannot say what there is hides none of the others; of two with one id the first counts', async () => {
  const found = (id: string, where: string) => ({ ...lamp(), id, where })
  const entry = (owner: string, find: () => Promise<ReturnType<typeof found>[]>) => ({ owner, load: async () => ({ default: { find } }) })
  const failed: string[] = []
  const all = await findReachable(
    { homes: [], clock: systemClock, env: {}, peers: {} as never, signal: new AbortController().signal },
    [
      entry('one', async () => [found('a', 'first')]),
      entry('two', () => Promise.reject(new Error('no'))),
      entry('three', async () => [found('a', 'second'), found('b', 'third')]),
    ],
    (owner) => failed.push(owner),
  )
  expect(all.map(({ id, where }) => [id, where])).toEqual([
    ['a', 'first'],
    ['b', 'third'],
  ])
  expect(failed).toEqual(['two'])
})

test('a folder is in use when there are sockets in it', () => {
  mkdirSync(join(folder, 'empty'))
  expect(folderInUse([join(folder, 'empty'), join(folder, 'lamp')])).toBe(join(folder, 'lamp'))
  expect(folderInUse([join(folder, 'empty')])).toBeUndefined()
})
