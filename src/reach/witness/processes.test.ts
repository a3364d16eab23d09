// The history under a witness as people meet it: real processes, a home for each, and whoever can write the folder doing their worst.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Person, type ReachBench, type Service, local, reachBench } from '../../../test/kit/reach-bench.ts'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { genesis, seal } from '../../base/ledger/line.ts'
import { addToHistory, historyName } from '../history.ts'
import { homeIn } from '../home.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

const folderOf = ({ home }: Person): string => join(bench.folder, home, '.local/state/fairlead/reach')
const fileOf = (person: Person, name = 'blockchain.json'): string => join(folderOf(person), name)

async function write(person: Person, count: number): Promise<void> {
  const entry = { event: 'sent', peer: person.peerId, id: 'x'.repeat(22), message: 'y'.repeat(43), delivered: true } as const
  for (let n = 0; n < count; n++) await addToHistory({ clock, log }, homeIn(folderOf(person)), entry)
}

/** All hashes made to fit again: what somebody does who knows the format. */
function rewrite(person: Person, change: (bodies: string[]) => string[]): void {
  const lines = readFileSync(fileOf(person), 'utf8').split('\n').slice(0, -1)
  const time = /"time":"([^"]*)"/.exec(lines[0]!)![1]!
  let prev = genesis(historyName).hash
  const made = change(lines.map((line) => /^\{"seq":\d+,"time":"[^"]*",(.*),"prev":"/.exec(line)![1]!)).map((body, index) => {
    const { line, hash } = seal(index + 1, time, body, prev)
    prev = hash
    return line
  })
  writeFileSync(fileOf(person), made.join(''))
}

const ask = async (person: Person, ...words: string[]) => {
  const { exitCode, stdout, stderr } = await bench.run(person.home, 'history', ...words, '--json')
  const said = JSON.parse(stdout || stderr) as Record<string, unknown>
  return { exitCode, ...said, ...(said['error'] as object | undefined) }
}

test('asked, signed, verified; what is cut, rewritten or forked afterwards is found and named, and the witness refuses it', async () => {
  const [box, mac] = (await bench.people(1)) as [Person, Person]
  const serving = await bench.serve(box.home, 'agent', ...local)
  const at = ['--witness', box.peerId, '--address', serving.addresses[0]!]
  expect(await bench.run(mac.home, 'history', ...at)).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('blockchain.json') as string,
  })
  await write(mac, 5)
  const stranger = await bench.run(mac.home, 'history', ...at)
  expect(stranger).toMatchObject({ exitCode: 4, stderr: expect.stringMatching(/no witness for .*\n.*reach witness add ID/) as string })
  expect((await bench.run(box.home, 'witness', 'add', mac.peerId)).exitCode).toBe(0)
  await expect.poll(() => ask(mac, ...at), { timeout: 15_000 }).toMatchObject({ exitCode: 0, witnessed: 5, by: box.peerId })
  await write(mac, 7)
  expect(await ask(mac, ...at)).toMatchObject({ exitCode: 0, witnessed: 12 })
  await write(mac, 1)
  expect(await ask(mac, '--verify')).toMatchObject({ exitCode: 0, intact: true, durability: { written: 13, synced: 12, witnessed: 12 } })
  expect((await bench.run(mac.home, 'history', '--verify')).stdout).toContain(`witnessed up to 12 by ${box.peerId} at 2`)
  expect((await bench.run(box.home, 'witness', 'list')).stdout).toMatch(`${mac.peerId}\n  fairlead/messages: 12 entries, at 2`)

  const kept = join(bench.folder, 'kept')
  const harmed = async (harm: () => void): Promise<void> => {
    cpSync(folderOf(mac), kept, { recursive: true })
    harm()
    for (const name of readdirSync(folderOf(mac))) if (/^blockchain\.(?:checkpoint$|tree|witnessed)/.test(name)) rmSync(fileOf(mac, name))
  }
  const restore = (): void => {
    rmSync(folderOf(mac), { recursive: true })
    cpSync(kept, folderOf(mac), { recursive: true })
  }
  const cutText = `cut off: the entries 10 to 12 were seen by ${box.peerId}`
  await harmed(() => writeFileSync(fileOf(mac), readFileSync(fileOf(mac), 'utf8').split('\n').slice(0, 9).join('\n') + '\n'))
  expect(await ask(mac, '--verify', ...at)).toMatchObject({
    exitCode: 3,
    intact: false,
    firstBad: { seq: 10, problem: expect.stringContaining(cutText) as string },
  })
  expect(await ask(mac, ...at)).toMatchObject({
    exitCode: 1,
    code: 'reach.witness_refused',
    message: expect.stringContaining('its end was cut off') as string,
  })
  restore()

  await harmed(() => rewrite(mac, (bodies) => bodies.map((body, n) => (n === 3 ? body.replace('sent', 'received') : body))))
  const rewritten = await ask(mac, '--verify', ...at)
  expect(rewritten).toMatchObject({ exitCode: 3, intact: false })
  expect(JSON.stringify(rewritten)).toContain(box.peerId)
  restore()

  await harmed(() => {
    const first = readFileSync(fileOf(mac), 'utf8').split('\n')[0]! // the same chain, then other entries
    rewrite(mac, (bodies) => bodies.map((body, n) => (n === 3 ? body.replace('sent', 'received') : body)))
    expect(readFileSync(fileOf(mac), 'utf8').split('\n')[0]).toBe(first)
  })
  expect(await ask(mac, ...at)).toMatchObject({
    exitCode: 1,
    code: 'reach.witness_refused',
    message: expect.stringContaining('some of these were altered') as string,
  })
  restore()
  expect(await ask(mac, '--verify', ...at)).toMatchObject({ exitCode: 0, intact: true })

  rmSync(fileOf(mac)) // its owner may do so: a new chain, which is no fork, and is told
  await write(mac, 2)
  expect(await ask(mac, '--verify', ...at)).toMatchObject({
    exitCode: 0,
    intact: true,
    entries: 2,
    earlier: [{ by: box.peerId, size: 12 }],
  })
  expect(await ask(mac, ...at)).toMatchObject({ exitCode: 0, witnessed: 2 })
  expect((await bench.run(box.home, 'witness', 'remove', mac.peerId)).exitCode).toBe(0)
  await expect.poll(async () => (await ask(mac, ...at)).exitCode, { timeout: 15_000 }).toBe(4)
}, 120_000)

test('one entry is proved to somebody who has neither the record nor a wallet', async () => {
  const [box, mac] = (await bench.people(1)) as [Person, Person]
  const serving = await bench.serve(box.home, 'agent', ...local)
  await bench.run(box.home, 'witness', 'add', mac.peerId)
  await write(mac, 9)
  const file = join(bench.folder, 'entry-4.tlog-proof')
  const alone = await bench.run(mac.home, 'history', '--prove', '4')
  expect(alone).toMatchObject({ exitCode: 0, stderr: '' })
  writeFileSync(file, alone.stdout)
  expect((await bench.run('nobody', 'history', '--check', file)).stdout).toMatch(
    /^proved: entry 4 of fairlead\/messages.*\nwitnessed by nobody\n/,
  )
  const at = ['--witness', box.peerId, '--address', serving.addresses[0]!]
  await expect.poll(async () => (await ask(mac, ...at)).exitCode, { timeout: 15_000 }).toBe(0)
  await write(mac, 3)
  writeFileSync(file, (await bench.run(mac.home, 'history', '--prove', '4')).stdout)
  const found = await bench.run('nobody', 'history', '--check', file, '--json')
  expect(found.exitCode).toBe(0)
  expect(JSON.parse(found.stdout)).toMatchObject({ proved: true, entry: 4, owner: mac.peerId, size: 9, witnesses: [{ by: box.peerId }] })
  writeFileSync(file, readFileSync(file, 'utf8').replace('index 3', 'index 5'))
  expect(await bench.run('nobody', 'history', '--check', file)).toMatchObject({
    exitCode: 3,
    stdout: expect.stringContaining('proves nothing') as string,
  })
  expect((await bench.run(mac.home, 'history', '--prove', '99')).exitCode).toBe(1)
  expect((await bench.run(mac.home, 'history', '--prove', '1', '--verify')).exitCode).toBe(2)
  expect((await bench.run('nobody', 'history', '--check', join(bench.folder, 'nothing'))).exitCode).toBe(1)
})

test('whoever sends or receives signs its history by the way', async () => {
  const [box, mac] = (await bench.people(1)) as [Person, Person]
  const listening = await bench.serve(box.home, 'listen', ...local)
  expect((await bench.run(mac.home, 'send', box.peerId, 'hello', '--address', listening.addresses[0]!)).exitCode).toBe(0)
  for (const person of [box, mac])
    await expect
      .poll(() => ask(person, '--verify'), { timeout: 15_000 })
      .toMatchObject({ exitCode: 0, checkpoint: 1, durability: { written: 1, synced: 1, witnessed: 0 } })
  const { stdout } = await bench.run(mac.home, 'history', '--verify')
  expect(stdout).toMatch(/^intact: 1 entries, .*\nwritten up to 1, synced up to 1, witnessed by nobody\nsigned by its owner up to 1\n$/)
}, 60_000)

test('SIGKILL of owner and witness at any moment leaves nothing that contradicts itself', async () => {
  const [box, mac] = (await bench.people(1)) as [Person, Person]
  await bench.run(box.home, 'witness', 'add', mac.peerId)
  let serving: Service = await bench.serve(box.home, 'agent', ...local)
  const words = (): string[] => ['history', '--witness', box.peerId, '--address', serving.addresses[0]!]
  const main = resolve(import.meta.dirname, '../../main.ts')
  await write(mac, 1)
  await expect.poll(async () => (await bench.run(mac.home, ...words())).exitCode, { timeout: 15_000 }).toBe(0)
  for (let round = 0; round < 8; round++) {
    await write(mac, 3)
    const env = { HOME: join(bench.folder, mac.home), PATH: process.env['PATH']! }
    const asking = spawn(process.execPath, [main, 'reach', ...words()], { env, stdio: 'ignore' })
    await clock.wait(60 + Math.random() * 500) // the moment itself is what varies
    if (round % 4 === 3) {
      await serving.stop('SIGKILL')
      asking.kill('SIGKILL')
      serving = await bench.serve(box.home, 'agent', ...local)
    } else asking.kill('SIGKILL')
    if (asking.exitCode === null && asking.signalCode === null) await once(asking, 'close')
  }
  const last = await ask(mac, ...words().slice(1))
  expect(last).toMatchObject({ exitCode: 0, witnessed: 25 })
  expect(await ask(mac, '--verify', ...words().slice(1))).toMatchObject({
    exitCode: 0,
    intact: true,
    problems: [],
    durability: { witnessed: 25 },
  })
}, 120_000)
