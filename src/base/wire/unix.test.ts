// A socket that is held: one holder, however many try at once, and the mode it is to have before anybody can know it.
import { chmodSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { type Server, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { later } from '../../../test/kit/cleanup.ts'
import { connectSocket, holdUnix } from './unix.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-unix-'))
  later(() => rmSync(folder, { recursive: true }))
  path = join(folder, 'a.sock')
})

function server(name = ''): Server {
  const made = createServer((socket) => socket.end(name))
  later(() => made.close())
  return made
}

test('of many that try at once one has it, also over a socket that nobody serves any more', async () => {
  for (let round = 0; round < 3; round++) {
    const tries = await Promise.allSettled(Array.from({ length: 5 }, (_, index) => holdUnix(server(String(index)), path, 0o600)))
    const held = tries.flatMap((one, index) => (one.status === 'fulfilled' ? [{ index, ...one }] : []))
    expect(held.length).toBe(1)
    for (const one of tries) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'socket.busy' })
    const socket = await connectSocket(path)
    expect(Buffer.concat((await socket.toArray()) as Buffer[]).toString()).toBe(String(held[0]!.index))
    held[0]!.value[Symbol.dispose]()
    expect(readdirSync(folder)).toEqual(['a.sock.lock'])
    const dead = server()
    await new Promise<void>((resolve) => dead.listen(join(folder, 'dead'), resolve))
    renameSync(join(folder, 'dead'), path) // closing it leaves this one behind
    dead.close()
  }
})

test('it never has another mode than the one it is to have', async () => {
  const modes = new Set<number>()
  chmodSync(folder, 0o700)
  let isOver = false
  const watch = (): void => {
    const found = statSync(path, { throwIfNoEntry: false })
    if (found) modes.add(found.mode & 0o777)
    if (!isOver) setImmediate(watch)
  }
  watch()
  for (let round = 0; round < 50; round++) {
    const held = await holdUnix(server(), path, 0o660)
    await new Promise((resolve) => setImmediate(resolve))
    held[Symbol.dispose]()
  }
  isOver = true
  expect([...modes]).toEqual([0o660])
})
