// The relay where it is needed: two machines behind routers that let nothing in, a public registry, each a process of its own with a home and a namespace of its own. The
// path is cut and comes back at random moments, and the same MCP session goes on: every call is counted at the far end. Imports nothing of the program.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, type Side, createLab, inside, obstacle } from './namespaces.ts'
import { type Person, type Running, capture, connect, idOf, person, root, run, serve, until, within } from './people.ts'

const cuts = process.env['FAIRLEAD_LONG'] ? 1_000 : 100
const missing = obstacle()

let lab: Lab
let folder: string
const undo: (() => unknown)[] = []

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
  let mac: Person
  const registryWords = ['registry', '--host', '0.0.0.0', '--announce', '/ip4/203.0.113.1/tcp/8765']
  const startRegistry = (): Promise<Running> => serve(person(lab.public, folder, 'registry'), undo, ...registryWords)
  let counted = ''

  beforeAll(async () => {
    if (missing !== undefined) return
    folder = mkdtempSync(join(tmpdir(), 'fairlead-bed-'))
    lab = createLab()
    counted = join(folder, 'calls')
    writeFileSync(counted, '')
    registry = await startRegistry()
    mac = person(lab.mac, folder, 'mac')
    const linux = person(lab.box, folder, 'box')
    await Promise.all([run(linux, 'init', '--name', 'Box'), run(mac, 'init', '--name', 'Mac')])
    const server = ['--server', lab.publicAddress]
    await run(mac, 'register', ...server)
    const command = `${process.execPath} ${join(root, 'test/bed/counting-server.mjs')} ${counted}`
    await serve(linux, undo, 'mcp-serve', '--authorized-peer', await idOf(mac), '--command', command, ...server)
    box = await idOf(linux)
    await until('Box is reached through the relay', async () => /Box .*relayed/.test(await run(mac, 'peers')))
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
    const capturing = await capture(lab.public, join(folder, 'relay.pcap'), undo)

    const client = connect(mac, undo, box)
    await within(20_000, 'initialize', client.initialize())
    const secret = `secret-${process.pid}-in-the-argument-and-in-the-result`
    expect(await within(20_000, 'the call', client.call('count', { call: secret }))).toBe(secret)
    expect(calls()).toContain(secret)
    client.process.stdin.end()
    expect(await within(20_000, 'the end', client.ended)).toBe(0)
    const plain = 'plain-words-that-the-capture-must-show'
    inside(lab.mac, ['bash', '-c', `exec 3<>/dev/tcp/${lab.publicAddress}/8765; echo ${plain} >&3; sleep 0.2`])

    const captured = await capturing.end()
    const isSeen = (word: string): boolean => captured.includes(word)
    expect(isSeen(plain)).toBe(true)
    expect(isSeen('/noise')).toBe(true) // the negotiation before the handshake: these are the right connections
    expect(captured.length).toBeGreaterThan(10_000)
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
      const client = connect(mac, undo, box)
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
