// Files that go out: what cannot be sent is said first, and what changes meanwhile is not sent as if it had not.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { randomBytes } from '../../kernel/random.ts'
import { openOutgoing } from './outgoing-file.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fairlead-outgoing-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

async function read(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

test.each([0, 1, 262_144, 1_000_001])('%i bytes: name, size, SHA-256, and the bytes from any offset', async (size) => {
  const bytes = randomBytes(size)
  const path = join(root, 'a.bin')
  writeFileSync(path, bytes)
  const file = await openOutgoing(path)
  expect(file).toMatchObject({ name: 'a.bin', sizeBytes: size, sha256: createHash('sha256').update(bytes).digest('hex') })
  for (const offset of [0, size >> 1, size]) expect(Buffer.compare(bytes.subarray(offset), await read(file.pieces(offset)))).toBe(0)
  await file.check()
  await file.close()
})

test('a folder, nothing, a pipe that nobody writes', async () => {
  await expect(openOutgoing(root)).rejects.toMatchObject({ code: 'transfer.no_file', kind: 'usage' })
  await expect(openOutgoing(join(root, 'none'))).rejects.toMatchObject({ code: 'transfer.missing' })
  execFileSync('mkfifo', [join(root, 'pipe')])
  await expect(openOutgoing(join(root, 'pipe'))).rejects.toMatchObject({ code: 'transfer.no_file' })
})

test('longer, shorter, or other bytes of the same length: it changed', async () => {
  const path = join(root, 'a.bin')
  for (const change of [
    () => appendFileSync(path, 'x'),
    () => truncateSync(path, 10),
    () => writeFileSync(path, Buffer.alloc(600_000, 2)),
  ]) {
    writeFileSync(path, Buffer.alloc(600_000, 1))
    const file = await openOutgoing(path)
    const pieces = file.pieces(0)
    await pieces.next()
    change()
    await expect(read(pieces).then(() => file.check())).rejects.toMatchObject({ code: 'transfer.changed' })
    await file.close()
  }
})
