// A daemon's own API over its sockets: who may open them, what they offer, faults that come back whole, and bounds.
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { systemClock as clock } from '../../kernel/clock.ts'
import { faults } from '../../kernel/fault.ts'
import { silentLog as log } from '../../kernel/log.ts'
import type { Api, Handlers } from './api.ts'
import { controlClient } from './client.ts'
import { openControl } from './server.ts'

const api = {
  'get-lamp': { privilege: 'observe', summary: 'is it on', input: z.strictObject({}), output: z.strictObject({ on: z.boolean() }) },
  'set-lamp': { privilege: 'change', summary: 'turn it on', input: z.strictObject({ on: z.boolean() }), output: z.strictObject({}) },
} as const satisfies Api
const fault = faults('lamp', { broken: (d: { watt: number }) => ({ kind: 'conflict', message: `${d.watt} W`, hint: 'buy a new one' }) })

let folder: string
let on: boolean
let stack: AsyncDisposableStack
const handlers: Handlers<typeof api> = {
  'get-lamp': async () => ({ on }),
  'set-lamp': async (asked) => {
    if (on && asked.on) throw fault.broken({ watt: 40 })
    on = asked.on
    return {}
  },
}
const open = () => openControl({ api, handlers, clock, log }, { daemon: 'lamp', folder })
const clientOf = (privilege: 'observe' | 'change') => controlClient(api, { daemon: 'lamp', folder, privilege })

beforeEach(async () => {
  on = false
  folder = join(mkdtempSync(join(tmpdir(), 'control-')), 'run')
  stack = new AsyncDisposableStack()
  stack.use(await open())
})
afterEach(async () => {
  await stack.disposeAsync()
  rmSync(join(folder, '..'), { recursive: true })
})

test('each socket is for its owner alone, and offers what it is for', async () => {
  expect(
    [folder, join(folder, 'observe.sock'), join(folder, 'change.sock')].map((path) => (statSync(path).mode & 0o777).toString(8)),
  ).toEqual(['700', '600', '600'])
  expect(await clientOf('change').about()).toEqual({ daemon: 'lamp', pid: process.pid, operations: ['get-lamp', 'set-lamp'] })
  expect(await clientOf('observe').about()).toMatchObject({ operations: ['get-lamp'] })
  await clientOf('change').calls['set-lamp']({ on: true })
  expect(await clientOf('observe').calls['get-lamp']({})).toEqual({ on: true })
  await expect(clientOf('observe').calls['set-lamp']({ on: false })).rejects.toMatchObject({ code: 'control.unknown_operation' })
  expect(on).toBe(true)
})

test("a daemon's fault comes back whole, and a defect as one", async () => {
  on = true
  await expect(clientOf('change').calls['set-lamp']({ on: true })).rejects.toMatchObject({
    code: 'lamp.broken',
    kind: 'conflict',
    message: '40 W',
    hint: 'buy a new one',
    details: { watt: 40 },
  })
})

test('what it does not take is refused with the reason', async () => {
  await expect(clientOf('change').calls['set-lamp']({ on: 'yes' } as never)).rejects.toMatchObject({ code: 'control.bad_input' })
  const answer = async (path: string, body?: string, method = 'POST'): Promise<number> =>
    new Promise((resolve, reject) => {
      const asking = request({ socketPath: join(folder, 'change.sock'), path, method }, (response) => {
        response.resume()
        resolve(response.statusCode!)
      })
      asking.on('error', reject).end(body)
    })
  expect(await answer('/v1/set-lamp', '{')).toBe(400)
  expect(await answer('/v1/set-lamp', `{"on":true}${' '.repeat(2 << 20)}`)).toBe(400)
  expect(await answer('/v1/toString', '{}')).toBe(404)
  expect(await answer('/v1/__proto__', '{}')).toBe(404)
  expect(await answer('/v1/get-lamp', undefined, 'GET')).toBe(404)
  expect(await answer('/v2/get-lamp', '{}')).toBe(404)
})

test('a second daemon in the same folder is refused; a socket that a dead one left is taken', async () => {
  await expect(open()).rejects.toMatchObject({ code: 'socket.busy' })
  await stack.disposeAsync()
  await expect(clientOf('change').about()).rejects.toMatchObject({ code: 'control.unreachable', kind: 'unavailable' })
  stack = new AsyncDisposableStack()
  stack.use(await open())
  expect(await clientOf('change').about()).toMatchObject({ daemon: 'lamp' })
})

test('it ends although somebody holds a connection and says nothing', async () => {
  const idle = connect(join(folder, 'change.sock'))
  await new Promise((resolve) => idle.once('connect', resolve))
  const closed = new Promise((resolve) => idle.once('close', resolve))
  await stack.disposeAsync()
  await closed
})
