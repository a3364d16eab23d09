// The relay where it is needed: two machines behind routers that let nothing in, a public registry, each a process of its own with a home and a namespace of its own. The
// path is cut and comes back at random moments, and the same MCP session goes on: every call is counted at the far end. Imports nothing of the program.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type McpClient, mcpClient } from '../kit/mcp-client.ts'
import { type Lab, type Side, createLab, inside, obstacle, spawnInside } from './namespaces.ts'

const root = resolve(import.meta.dirname, '../..')
const main = join(root, 'src/main.ts')
const cuts = process.env['FAIRLEAD_LONG'] ? 1_000 : 100
const missing = obstacle()

type Running = { readonly pid: number; said(): string; stop(signal?: NodeJS.Signals): Promise<void> }

let lab: Lab
let folder: string
const undo: (() => unknown)[] = []

const envOf = (who: string): Record<string, string> => ({ HOME: join(folder, who), PATH: process.env['PATH']! })
const reach = (...words: readonly string[]): string[] => [process.execPath, main, 'reach', ...words]

async function run(place: string, who: string, ...words: readonly string[]): Promise<string> {
  const argv = ['netns', 'exec', place, ...reach(...words)]
  return (await promisify(execFile)('ip', argv, { env: envOf(who), encoding: 'utf8' })).stdout
}

/** Starts what serves, and waits until it says so. */
async function serve(place: string, who: string, ...words: readonly string[]): Promise<Running> {
  const child = spawnInside(place, reach(...words, '--json'), envOf(who))
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = once(child, 'close')
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    child.kill(signal)
    await ended
  }
  undo.push(() => stop('SIGKILL'))
  let isOver = false
  void ended.then(() => (isOver = true))
  await until(`${words[0]} says where it is: ${said}`, () => isOver || said.includes('\n}\n'))
  if (isOver) throw new Error(`it ended: ${said}`)
  return { pid: child.pid!, said: () => said, stop }
}

const registryWords = ['registry', '--host', '0.0.0.0', '--announce', '/ip4/203.0.113.1/tcp/8765']
const startRegistry = (): Promise<Running> => serve(lab.public, 'registry', ...registryWords)
const idOf = async (place: string, who: string): Promise<string> =>
  (JSON.parse(await run(place, who, 'status', '--json')) as { peerId: string }).peerId

function connect(peer: string, ...words: readonly string[]): McpClient {
  const client = mcpClient(['ip', 'netns', 'exec', lab.mac, ...reach('mcp-connect', peer, ...words)], envOf('mac'))
  undo.push(() => client.process.kill('SIGKILL'))
  return client
}

async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  const late = wait(ms, undefined, { ref: false }).then(() => Promise.reject(new Error(`${what}: not within ${ms} ms`)))
  return Promise.race([promise, late])
}

/** Looks again and again, for 30 s at most. */
async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const from = performance.now(); !(await isSo()); await wait(20))
    if (performance.now() - from > 30_000) throw new Error(`waited 30 s until ${what}`)
}

/** A small generator of numbers that the printed seed replays. */
function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
  }
}

describe('two machines behind routers that let nothing in', () => {
  let registry: Running
  let box = ''
  let counted = ''

  beforeAll(async () => {
    if (missing !== undefined) return
    folder = mkdtempSync(join(tmpdir(), 'fairlead-bed-'))
    lab = createLab()
    counted = join(folder, 'calls')
    writeFileSync(counted, '')
    registry = await startRegistry()
    await Promise.all([run(lab.box, 'box', 'init', '--name', 'Box'), run(lab.mac, 'mac', 'init', '--name', 'Mac')])
    const server = ['--server', lab.publicAddress]
    await run(lab.mac, 'mac', 'register', ...server)
    const mac = await idOf(lab.mac, 'mac')
    const command = `${process.execPath} ${join(root, 'test/bed/counting-server.mjs')} ${counted}`
    await serve(lab.box, 'box', 'mcp-serve', '--authorized-peer', mac, '--command', command, ...server)
    box = await idOf(lab.box, 'box')
    await until('Box is reached through the relay', async () => /Box .*relayed/.test(await run(lab.mac, 'mac', 'peers')))
  }, 90_000)

  afterAll(async () => {
    for (const step of undo.splice(0).toReversed()) await step()
    if (missing !== undefined) return
    lab.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const calls = (): string[] => readFileSync(counted, 'utf8').trim().split('\n')

  test('the relay carries a call, and nothing of it can be read there', { timeout: 60_000 }, async ({ skip }) => {
    if (missing !== undefined) skip(missing) // refused in CI, as every skip is
    expect(() => inside(lab.mac, ['timeout', '1', 'bash', '-c', 'exec 3<>/dev/tcp/10.1.0.2/8766'])).toThrow('Command failed') // there is no other way
    const file = join(folder, 'relay.pcap')
    const tcpdump = spawnInside(
      lab.public,
      ['tcpdump', '-i', 'any', '-s', '0', '-B', '16384', '-U', '--immediate-mode', '-Z', 'root', '-w', file],
      envOf('registry'),
    )
    undo.push(() => tcpdump.kill('SIGKILL'))
    let said = ''
    tcpdump.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
    await until('tcpdump listens', () => said.includes('listening on'))

    const client = connect(box)
    await within(20_000, 'initialize', client.initialize())
    const secret = `secret-${process.pid}-in-the-argument-and-in-the-result`
    expect(await within(20_000, 'the call', client.call('count', { call: secret }))).toBe(secret)
    expect(calls()).toContain(secret)
    client.process.stdin.end()
    expect(await within(20_000, 'the end', client.ended)).toBe(0)
    const plain = 'plain-words-that-the-capture-must-show'
    inside(lab.mac, ['bash', '-c', `exec 3<>/dev/tcp/${lab.publicAddress}/8765; echo ${plain} >&3; sleep 0.2`])

    const ended = once(tcpdump, 'close')
    tcpdump.kill('SIGINT')
    await within(10_000, 'the end of tcpdump', ended)
    expect(said).toMatch(/^0 packets dropped by kernel/m)
    const capture = readFileSync(file)
    const isSeen = (word: string): boolean => capture.includes(word)
    expect(isSeen(plain)).toBe(true)
    expect(isSeen('/noise')).toBe(true) // the negotiation before the handshake: these are the right connections
    expect(capture.length).toBeGreaterThan(10_000)
    expect([secret, 'tools/call', 'jsonrpc', 'initialize', 'counting', 'Box'].filter(isSeen)).toEqual([])
  })

  test(
    `${cuts} cuts at random moments: the same session goes on, and no call is lost or doubled`,
    { timeout: 250_000 + cuts * 4_000 },
    async ({ skip }) => {
      if (missing !== undefined) skip(missing)
      const seed = Number(process.env['SEED'] ?? Date.now() % 1e9)
      console.info(`cuts of the path: SEED=${seed}`)
      const next = random(seed)
      const startedBefore = calls().filter((line) => line.startsWith('started')).length
      const client = connect(box)
      await within(20_000, 'initialize', client.initialize())
      const side = (): Side => (next() < 0.5 ? 'box' : 'mac')
      const kinds: readonly { name: string; share: number; cut(forMs: number): Promise<void> }[] = [
        { name: 'cable', share: 0.4, cut: (forMs) => around(forMs, side(), lab.cable.bind(lab), false) },
        { name: 'swallowed', share: 0.4, cut: (forMs) => around(forMs, side(), lab.swallow.bind(lab), true) },
        { name: 'relay killed', share: 0.1, cut: restarted },
        { name: 'address changed', share: 0.1, cut: async () => lab.move(side()) },
      ]
      async function around(forMs: number, at: Side, set: (side: Side, to: boolean) => void, broken: boolean): Promise<void> {
        set(at, broken)
        await wait(forMs)
        set(at, !broken)
      }
      async function restarted(): Promise<void> {
        await registry.stop('SIGKILL')
        registry = await startRegistry()
      }

      const sent: string[] = []
      const answered: Promise<string>[] = []
      const call = (): Promise<string> => {
        const id = `call-${seed}-${sent.length}`
        sent.push(id)
        const answer = client.call('count', { call: id })
        answer.catch(() => {}) // told where it is awaited
        answered.push(answer)
        return answer
      }
      const recoveries = new Map<string, number[]>()
      for (let n = 0; n < cuts; n++) {
        let draw = next()
        const kind = kinds.find(({ share }) => (draw -= share) < 0) ?? kinds[0]!
        const before = call()
        await Promise.race([before, wait(next() * 8)]) // sometimes in the middle of it
        const cutting = kind.cut(next() < 0.1 ? 1_000 + next() * 2_000 : 20 + next() * 400)
        const during = call()
        await cutting
        const from = performance.now()
        const after = call()
        await within(60_000, `the answers after cut ${n} (${kind.name}); ${client.stderr()}`, Promise.all([before, during, after]))
        recoveries.set(kind.name, [...(recoveries.get(kind.name) ?? []), performance.now() - from])
      }
      expect(await Promise.all(answered)).toEqual(sent)
      const lines = calls()
      expect(lines.filter((line) => line.startsWith(`call-${seed}-`)).sort()).toEqual(sent.toSorted())
      expect(lines.filter((line) => line.startsWith('started')).length).toBe(startedBefore + 1) // one server all along: it was the same session
      for (const [name, ms] of recoveries) {
        const sorted = ms.toSorted((a, b) => a - b)
        const at = (share: number): string => `${Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!)} ms`
        console.info(`next answer after the path was back, ${name} (${ms.length}): median ${at(0.5)}, p90 ${at(0.9)}, longest ${at(1)}`)
      }
      client.process.stdin.end()
      expect(await within(20_000, 'the end', client.ended)).toBe(0)
    },
  )
})
