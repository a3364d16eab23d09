// One suite for every kind of wire: order, back-pressure, ends.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, describe, expect, test } from 'vitest'
import { type Frame, stringAt } from '../../src/base/wire/frame.ts'
import { linesWire } from '../../src/base/wire/lines.ts'
import { memoryWires } from '../../src/base/wire/memory.ts'
import { scan } from '../../src/base/wire/scan.ts'
import { connectUnix, unixServer } from '../../src/base/wire/unix.ts'
import type { Sink, Wire } from '../../src/base/wire/wire.ts'

const undo: (() => void)[] = []
afterEach(() => {
  for (const step of undo.splice(0).reverse()) step()
})

const kinds: Record<string, () => Promise<[Wire, Wire]>> = {
  memory: async () => memoryWires(),
  stdio: async () => {
    const [up, down] = [new PassThrough(), new PassThrough()]
    return [linesWire(down, up), linesWire(up, down)]
  },
  unix: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fairlead-'))
    const path = join(folder, 's.sock')
    let accepted: (wire: Wire) => void
    const other = new Promise<Wire>((resolve) => (accepted = resolve))
    const server = unixServer((wire) => accepted(wire))
    await new Promise<void>((resolve) => server.listen(path, resolve))
    undo.push(() => {
      server.close()
      rmSync(folder, { recursive: true })
    })
    const left = await connectUnix(path)
    const right = await other
    undo.push(() => {
      void left.close()
      void right.close()
    })
    return [left, right]
  },
}

const frame = (text: string): Frame => scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', method: 'm', params: { name: text } })))
const nameOf = (got: Frame): string => stringAt(got, got.at.name)!

class Collector implements Sink {
  readonly got: string[] = []
  #waiters: { count: number; resolve: () => void }[] = []
  isFull = false
  #open: (() => void) | undefined
  write(got: Frame): boolean {
    this.got.push(nameOf(got))
    for (const waiter of this.#waiters) if (this.got.length >= waiter.count) waiter.resolve()
    return !this.isFull
  }
  room(): Promise<void> {
    return this.isFull ? new Promise((resolve) => (this.#open = resolve)) : Promise.resolve()
  }
  drain(): void {
    this.isFull = false
    this.#open?.()
  }
  reached(count: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.got.length >= count) resolve()
      else this.#waiters.push({ count, resolve })
    })
  }
}

describe.each(Object.entries(kinds))('a %s wire', (_, make) => {
  test('carries frames both ways in order', async () => {
    const [left, right] = await make()
    const [atLeft, atRight] = [new Collector(), new Collector()]
    left.read(atLeft)
    right.read(atRight)
    const names = Array.from({ length: 500 }, (_, i) => `f${i}`)
    for (const name of names) {
      if (!left.write(frame(name))) await left.room()
      if (!right.write(frame(name))) await right.room()
    }
    await Promise.all([atLeft.reached(500), atRight.reached(500)])
    expect(atLeft.got).toEqual(names)
    expect(atRight.got).toEqual(names)
  })

  test('a slow reader stops the writer, and loses nothing', async () => {
    const [left, right] = await make()
    const slow = new Collector()
    slow.isFull = true
    right.read(slow)
    const big = 'x'.repeat(10_000)
    let sent = 0
    while (sent < 2_000 && left.write(frame(big))) {
      sent++
      if (sent % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(sent).toBeLessThan(2_000)
    expect(slow.got.length).toBeLessThan(200)
    slow.drain()
    await left.room()
    left.write(frame('last'))
    await slow.reached(sent + 2)
    expect(slow.got.at(-1)).toBe('last')
    expect(slow.got.length).toBe(sent + 2)
  })

  test('close ends our side as closed and the other as eof, after what was written', async () => {
    const [left, right] = await make()
    const got = new Collector()
    right.read(got)
    left.read(new Collector())
    for (let i = 0; i < 20; i++) left.write(frame(`f${i}`))
    await left.close()
    expect(await left.ended).toEqual({ why: 'closed' })
    expect(await right.ended).toEqual({ why: 'eof' })
    expect(got.got.length).toBe(20)
    expect(left.write(frame('late'))).toBe(true)
    await left.room()
  })
})

describe('lines', () => {
  const pair = (options?: Parameters<typeof linesWire>[2]): { raw: PassThrough; wire: Wire; got: Collector } => {
    const raw = new PassThrough()
    const wire = linesWire(raw, new PassThrough(), options)
    const got = new Collector()
    wire.read(got)
    return { raw, wire, got }
  }
  const line = (name: string): string => `{"jsonrpc":"2.0","method":"m","params":{"name":"${name}"}}\n`

  test('frames cut anywhere arrive whole', async () => {
    const { raw, got } = pair()
    for (const byte of Buffer.from(line('é1') + line('2'))) raw.write(Buffer.from([byte]))
    await got.reached(2)
    expect(got.got).toEqual(['é1', '2'])
  })

  test('a bad line ends the wire as garbage', async () => {
    const { raw, wire } = pair()
    raw.write(`${line('1')}Listening on port 3000\n${line('2')}`)
    expect(await wire.ended).toMatchObject({ why: 'garbage' })
  })

  test('a bad line may be skipped, and an over-long one is never kept', async () => {
    const bad: string[] = []
    const { raw, got } = pair({
      limits: { maxFrameBytes: 1_000, maxDepth: 10, maxElements: 100 },
      onBadLine: (problem) => {
        bad.push(problem.code)
        return 'skip'
      },
    })
    raw.write(`hello\n${line('1')}`)
    for (let i = 0; i < 50; i++) raw.write('y'.repeat(500))
    raw.write(`\n${line('2')}`)
    await got.reached(2)
    expect(got.got).toEqual(['1', '2'])
    expect(bad).toEqual(['wire.not_json', 'wire.too_large'])
  })

  test('an over-long line is told apart at its ends, however it is cut, and something may be taken in its place', async () => {
    const bad: unknown[] = []
    const { raw, wire, got } = pair({
      limits: { maxFrameBytes: 10_000, maxDepth: 10, maxElements: 100 },
      onBadLine: ({ code, details: { id, answers } }) => {
        bad.push([code, id, answers])
        return frame('instead')
      },
    })
    const long = 'y'.repeat(10_100)
    for (const text of [
      `{"jsonrpc":"2.0","id":7,"method":"m","params":{"a":"${long}"}}\n`,
      `{"result":{"a":"${long}"},"jsonrpc":"2.0","id":"b"}\n${line('1')}`,
      `{"method":"m","params":{"id":3,"a":"${long}"}}`,
    ])
      for (let at = 0; at < text.length; at += 777) raw.write(text.slice(at, at + 777))
    raw.end()
    expect(await wire.ended).toEqual({ why: 'eof' })
    expect(got.got).toEqual(['instead', 'instead', '1', 'instead'])
    expect(bad).toEqual([
      ['wire.too_large', '7', undefined],
      ['wire.too_large', undefined, '"b"'],
      ['wire.too_large', undefined, undefined],
    ])
  })

  test('an over-long line ends a wire that forgives none, before its end', async () => {
    const { raw, wire } = pair({ limits: { maxFrameBytes: 1_000, maxDepth: 10, maxElements: 100 } })
    raw.write('y'.repeat(2_000))
    expect(await wire.ended).toMatchObject({ why: 'tooLarge' })
  })

  test('a reader that throws ends its own wire, and nothing else', async () => {
    const raw = new PassThrough()
    const wire = linesWire(raw, new PassThrough())
    wire.read({
      write() {
        throw new Error('no')
      },
      room: () => Promise.resolve(),
    })
    raw.write(line('1'))
    expect(await wire.ended).toMatchObject({ why: 'cut', problem: expect.stringContaining('no') as string })
  })

  test('a last line without its line feed still counts', async () => {
    const { raw, wire, got } = pair()
    raw.end(line('1').trimEnd())
    expect(await wire.ended).toEqual({ why: 'eof' })
    expect(got.got).toEqual(['1'])
  })
})
