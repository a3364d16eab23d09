// R7 as people meet it: real processes, a home for each; what is promised is looked at from outside.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { type Person, type ReachBench, type Service, freePort, local, portOf, reachBench } from '../../../test/kit/reach-bench.ts'
import { randomBytes } from '../../kernel/random.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())
vi.setConfig({ testTimeout: 120_000 }) // many processes each, on a machine that may be busy

const folderOf = ({ home }: Person): string => join(bench.folder, home, '.local/state/fairlead/reach')
const downloads = (person: Person): string => join(folderOf(person), 'downloads')
const received = (person: Person): string[] => {
  const path = downloads(person)
  return existsSync(path) ? readdirSync(path).filter((name) => name !== '.partial') : []
}
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const mib = 1 << 20

/** A file of the person's own. */
function written({ home }: Person, name: string, bytes: Uint8Array): string {
  mkdirSync(join(bench.folder, home), { recursive: true })
  const path = join(bench.folder, home, name)
  writeFileSync(path, bytes)
  return path
}

/** Somebody who listens, and somebody whose files are taken. */
async function acquainted(): Promise<{ box: Person; mac: Person; listening: Service }> {
  const [box, mac] = await bench.people(1)
  expect((await bench.run(box!.home, 'accept-files', mac!.peerId)).exitCode).toBe(0)
  return { box: box!, mac: mac!, listening: await bench.serve(box!.home, 'listen', ...local) }
}

test('a file arrives whole, an empty one too; a second of the same name stands beside the first; inbox, listen and history tell of them', async () => {
  const { box, mac, listening } = await acquainted()
  const bytes = randomBytes(3 * mib + 17)
  const path = written(mac, 'photo.raw', bytes)
  const at = ['--address', listening.addresses[0]!]
  const sent = await bench.run(mac.home, 'send-file', box.peerId, path, ...at, '--json')
  expect(sent).toMatchObject({ exitCode: 0, stderr: '' })
  expect(JSON.parse(sent.stdout)).toMatchObject({
    delivered: true,
    to: box.peerId,
    sizeBytes: bytes.length,
    sha256: sha256(bytes),
    attempts: 1,
  })
  for (const name of ['photo.raw', 'empty'])
    expect(
      await bench.run(mac.home, 'send-file', box.peerId, name === 'empty' ? written(mac, name, Buffer.alloc(0)) : path, ...at),
    ).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^delivered to 12D3\w+ \(.*B\)\n$/) as string,
      stderr: '', // a pipe: no progress
    })
  expect(received(box).toSorted()).toEqual(['empty', 'photo (2).raw', 'photo.raw'])
  for (const name of ['photo.raw', 'photo (2).raw']) {
    expect(sha256(readFileSync(join(downloads(box), name)))).toBe(sha256(bytes))
    expect(statSync(join(downloads(box), name)).mode & 0o777).toBe(0o600)
  }
  const inbox = JSON.parse((await bench.run(box.home, 'inbox', '--json')).stdout) as {
    messages: { from: string; file: { name: string } }[]
  }
  expect(inbox.messages.map(({ from, file }) => [from, file.name])).toEqual(
    ['photo.raw', 'photo (2).raw', 'empty'].map((name) => [mac.peerId, name]),
  )
  expect((await bench.run(box.home, 'inbox')).stdout).toContain('downloads/photo.raw (3.00 MiB)')
  await expect.poll(() => listening.lines.filter((line) => line.includes('"file":{"name":"empty"'))).toHaveLength(1)
  for (const person of [box, mac]) {
    expect(JSON.parse((await bench.run(person.home, 'history', '--verify', '--json')).stdout)).toMatchObject({ intact: true, entries: 3 })
    const text = readFileSync(join(folderOf(person), 'blockchain.json'), 'utf8')
    expect(text).toContain(sha256(bytes))
    expect(text).not.toContain('photo')
  }
})

test('who may not, what cannot be sent, and who is not there: each says so, with the way out', async () => {
  const { box, mac, listening } = await acquainted()
  const at = ['--address', listening.addresses[0]!]
  const path = written(mac, 'a.txt', Buffer.from('hello'))
  const send = (what: string, ...more: string[]) => bench.run(mac.home, 'send-file', box.peerId, what, ...at, ...more)
  expect(await send(join(bench.folder, 'none'))).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('there is no file') as string,
  })
  expect(await send(bench.folder)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('tar czf') as string })
  if (process.getuid?.() !== 0) {
    chmodSync(path, 0)
    expect(await send(path)).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('cannot read') as string })
    chmodSync(path, 0o600)
  }
  expect((await bench.run(box.home, 'accept-files', mac.peerId, '--max-mib', '1')).exitCode).toBe(0)
  expect(await send(written(mac, 'large', Buffer.alloc(mib + 1)))).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('--max-mib') as string,
  })
  expect((await bench.run(box.home, 'accept-files', mac.peerId, '--remove')).exitCode).toBe(0)
  const refused = await send(path)
  expect(refused).toMatchObject({ exitCode: 4, stdout: '' })
  expect(refused.stderr).toContain('not authorized')
  expect(refused.stderr).toContain(`fairlead reach accept-files ${mac.peerId}`) // what it hints at lets it in
  expect((await bench.run(box.home, 'accept-files', mac.peerId)).exitCode).toBe(0)
  expect((await send(path)).exitCode).toBe(0)
  expect(received(box)).toEqual(['a.txt'])
  const nobody = ['--address', `/ip4/127.0.0.1/tcp/${await freePort()}`]
  expect((await bench.run(mac.home, 'send-file', box.peerId, path, ...nobody)).exitCode).toBe(5)
  expect((await bench.run(box.home, 'accept-files', 'LinuxBox')).exitCode).toBe(2)
})

/** `send-file` as a process that can be killed; `ended` has its exit code and what it said. */
function sending({ home }: Person, ...words: string[]) {
  const main = resolve(import.meta.dirname, '../../main.ts')
  const env = { HOME: join(bench.folder, home), PATH: process.env['PATH']! }
  const child = spawn(process.execPath, [main, 'reach', 'send-file', ...words, '--json'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.resume()
  bench.undo(() => child.kill('SIGKILL'))
  return { child, ended: once(child, 'close').then(([exitCode]) => ({ exitCode: exitCode as number | null, stdout })) }
}

/** What has arrived of the one file that is on its way. */
function heldBytes(person: Person): number {
  const path = join(downloads(person), '.partial')
  const part = existsSync(path) ? readdirSync(path).find((name) => name.endsWith('.part')) : undefined
  return part === undefined ? 0 : (statSync(join(path, part), { throwIfNoEntry: false })?.size ?? 0)
}

const sizeBytes = 40 * mib

test('SIGKILL of the sender in the middle: the same command goes on where it was, and nothing is sent twice', async () => {
  const { box, mac, listening } = await acquainted()
  const bytes = randomBytes(sizeBytes)
  const path = written(mac, 'big', bytes)
  const slow = await bench.tap(listening, 8 * mib)
  const first = sending(mac, box.peerId, path, '--address', slow.address)
  await expect.poll(() => heldBytes(box), { timeout: 60_000, interval: 5 }).toBeGreaterThan(4 * mib)
  first.child.kill('SIGKILL')
  await first.ended
  expect(received(box)).toEqual([])
  const { address, passedBytes } = await bench.tap(listening)
  const again = await sending(mac, box.peerId, path, '--address', address).ended
  expect(again.exitCode).toBe(0)
  const { sentBytes } = JSON.parse(again.stdout) as { sentBytes: number }
  expect(sentBytes).toBeLessThanOrEqual(sizeBytes - 4 * mib)
  expect(passedBytes()).toBeLessThan(sentBytes * 1.02 + mib) // counted on the way
  expect(sha256(readFileSync(join(downloads(box), 'big')))).toBe(sha256(bytes))
})

test('SIGKILL of the recipient in the middle: the sender waits for it, goes on, and nothing is sent twice', async () => {
  const { box, mac, listening } = await acquainted()
  const bytes = randomBytes(sizeBytes)
  const path = written(mac, 'big', bytes)
  const slow = await bench.tap(listening, 8 * mib)
  const { ended } = sending(mac, box.peerId, path, '--address', slow.address)
  await expect.poll(() => heldBytes(box), { timeout: 60_000, interval: 5 }).toBeGreaterThan(24 * mib)
  await listening.stop('SIGKILL')
  expect(received(box)).toEqual([])
  await bench.serve(box.home, 'listen', '--host', '127.0.0.1', '--port', String(portOf(listening)))
  const { exitCode, stdout } = await ended
  expect(exitCode).toBe(0)
  const { sentBytes, attempts } = JSON.parse(stdout) as { sentBytes: number; attempts: number }
  expect(attempts).toBeGreaterThan(1)
  expect(sentBytes).toBeLessThan(sizeBytes + 12 * mib) // what was on its way and in buffers when it was killed
  expect(slow.passedBytes()).toBeLessThan(sentBytes * 1.02 + mib)
  expect(sha256(readFileSync(join(downloads(box), 'big')))).toBe(sha256(bytes))
  expect(received(box)).toEqual(['big'])
})

test('SIGINT in the middle ends it without a word, and what has arrived is kept', async () => {
  const { box, mac, listening } = await acquainted()
  const { address } = await bench.tap(listening, 8 * mib)
  const { ended, child } = sending(mac, box.peerId, written(mac, 'big', randomBytes(sizeBytes)), '--address', address)
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  await expect.poll(() => heldBytes(box), { timeout: 60_000, interval: 5 }).toBeGreaterThan(4 * mib)
  child.kill('SIGINT')
  expect(await ended).toEqual({ exitCode: 130, stdout: '' })
  expect(errors).toBe('')
  expect(heldBytes(box)).toBeGreaterThan(4 * mib)
})

test('a file that changes on its way is not delivered', async () => {
  const { box, mac, listening } = await acquainted()
  const path = written(mac, 'log', randomBytes(sizeBytes))
  const { address } = await bench.tap(listening, 8 * mib)
  const { ended, child } = sending(mac, box.peerId, path, '--address', address)
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  await expect.poll(() => heldBytes(box), { timeout: 60_000, interval: 5 }).toBeGreaterThan(mib)
  writeFileSync(path, randomBytes(sizeBytes))
  expect((await ended).exitCode).toBe(1)
  expect(errors).toContain('transfer.changed')
  expect(received(box)).toEqual([])
})

const rssMib = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024

test.runIf(existsSync('/proc/self/status'))('400 MB pass through both processes, and neither holds even half of them', async () => {
  const { box, mac, listening } = await acquainted()
  const path = written(mac, 'big', Buffer.concat(Array.from({ length: 400 }, () => randomBytes(1_000_000))))
  const before = rssMib(listening.pid)
  const { child, ended } = sending(mac, box.peerId, path, '--address', listening.addresses[0]!)
  const most = { sender: 0, recipient: 0 }
  const look = setInterval(() => {
    most.recipient = Math.max(most.recipient, rssMib(listening.pid))
    if (child.exitCode === null && existsSync(`/proc/${child.pid}/status`)) {
      try {
        most.sender = Math.max(most.sender, rssMib(child.pid!))
      } catch {
        // it has just ended
      }
    }
  }, 20)
  bench.undo(() => clearInterval(look))
  expect((await ended).exitCode).toBe(0)
  clearInterval(look)
  expect(most.recipient - before).toBeLessThan(160)
  expect(most.sender - before).toBeLessThan(160) // memory that the collector has not looked at yet
  expect(statSync(join(downloads(box), 'big')).size).toBe(400_000_000)
})

test('on the wire there is neither the name nor the content', async () => {
  const { box, mac, listening } = await acquainted()
  const { seen, address } = await bench.tap(listening)
  const path = written(mac, 'treasure-map.txt', Buffer.from('under the third oak '.repeat(100)))
  expect((await bench.run(mac.home, 'send-file', box.peerId, path, '--address', address)).exitCode).toBe(0)
  for (const word of ['treasure', 'third oak', 'offer', mac.peerId]) expect(seen().includes(word)).toBe(false)
  expect(seen().includes('/noise')).toBe(true) // the search itself can find something
})
