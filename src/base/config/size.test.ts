// The one limit on messages, as a key of a file and as a flag: what is written is understood whole, or refused with what may be written.
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { loadConfig } from './config.ts'
import { maxFrameBytes, maxFrameBytesOf } from './size.ts'

const schema = z.strictObject({ max_frame_bytes: maxFrameBytes })
const read = async (line: string): Promise<number> => (await loadConfig({ schema, path: 'a.toml', text: line })).value.max_frame_bytes

describe('max_frame_bytes', () => {
  test.each([
    ['', 8 << 20],
    ['max_frame_bytes = 65536', 64 << 10],
    ['max_frame_bytes = "64KiB"', 64 << 10],
    ['max_frame_bytes = "12 MiB"', 12 << 20],
    ['max_frame_bytes = "64MiB"', 64 << 20],
    ['max_frame_bytes = 1000000', 1_000_000],
  ])('%s is %i bytes', async (line, bytes) => {
    expect(await read(line)).toBe(bytes)
  })

  test.each(['65535', '67108865', '"63KiB"', '"1GiB"', '-1'])('%s is out of bounds', async (text) => {
    await expect(read(`max_frame_bytes = ${text}`)).rejects.toMatchObject({
      code: 'config.invalid',
      message: 'a.toml:1 max_frame_bytes: must be a size from 64KiB to 64MiB',
    })
  })

  test.each(['"8 MB"', '"8mib"', '""', '"-8MiB"', '"1.5MiB"'])('%s is no size', async (text) => {
    await expect(read(`max_frame_bytes = ${text}`)).rejects.toMatchObject({
      message: expect.stringContaining('such as 1048576, 512KiB or 8MiB'),
    })
  })

  test('as a flag', () => {
    expect(maxFrameBytesOf({ 'max-frame-bytes': '64MiB' })).toBe(64 << 20)
    expect(maxFrameBytesOf({ 'max-frame-bytes': '65536' })).toBe(64 << 10)
    expect(() => maxFrameBytesOf({ 'max-frame-bytes': '65MiB' })).toThrow('--max-frame-bytes: it must be a size from 64KiB to 64MiB')
    expect(() => maxFrameBytesOf({ 'max-frame-bytes': 'much' })).toThrow('--max-frame-bytes: it must be a size such as')
  })
})
