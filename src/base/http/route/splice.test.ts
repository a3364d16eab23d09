// What one end wrote before it closed in order reaches the other, however slowly that reads; what broke breaks both.
import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { splice } from './splice.ts'

function slow() {
  const written: string[] = []
  let go: (() => void) | undefined
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString())
      go = done
    },
  })
  return { stream, written, release: () => go?.() }
}

test('a slow reader gets the end of what was sent', async () => {
  const left = slow()
  const right = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  splice(left.stream, right)
  left.stream.push(null)
  right.push('tail')
  right.push(null)
  await new Promise((resolve) => right.once('close', resolve))
  expect(left.written).toEqual(['tail'])
  expect(left.stream.destroyed).toBe(false)
  left.release()
  await new Promise((resolve) => left.stream.once('close', resolve))
  expect(left.stream.writableFinished).toBe(true)
})

test('one that breaks takes the other with it', async () => {
  for (const error of [undefined, new Error('reset')]) {
    const [left, right] = [slow(), slow()]
    splice(left.stream, right.stream)
    left.stream.destroy(error)
    await new Promise((resolve) => right.stream.once('close', resolve))
    expect(right.stream.destroyed).toBe(true)
  }
})
