// Processes as runners have them, each with a home and a token of its own, over libp2p: what they share, and what is left when the host is killed.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { request } from 'node:http'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { removeFolder } from '../../src/kernel/file.ts'
import { apiDouble } from '../kit/api-double.ts'
import { later } from '../kit/cleanup.ts'
import { main } from '../kit/program.ts'

type Started = { readonly child: ChildProcess; readonly lines: string[]; readonly notes: string[] }

/** Resolves when it has printed that it is ready. */
async function start(args: readonly string[], home: string, env: Record<string, string>): Promise<Started> {
  const child = spawn(process.execPath, [main, 'share', ...args], {
    env: { PATH: process.env['PATH']!, HOME: home, FAIRLEAD_HOME: home, CACHE_P2P_SHARED_SECRET: 'the secret', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  later(() => ended(child, 'SIGTERM'))
  const [lines, notes]: [string[], string[]] = [[], []]
  createInterface({ input: child.stderr }).on('line', (line) => notes.push(line))
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  await expect.poll(() => lines.length, { timeout: 20_000, message: notes.join('\n') }).toBeGreaterThan(1)
  return { child, lines, notes }
}

async function stats(home: string): Promise<string> {
  const env = { PATH: process.env['PATH']!, HOME: home, FAIRLEAD_HOME: home }
  return (await promisify(execFile)(process.execPath, [main, 'share', 'stats', '--json'], { env })).stdout
}

/** Without what is for the log. */
const said = (notes: readonly string[]): readonly string[] => notes.filter((note) => !note.startsWith('{'))

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.kill(signal)
  await exit
}

function ask(home: string, path: string, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { host: 'api.github.com', authorization: `token ${token}` }
    const sent = request({ socketPath: join(home, 'run/share/api.sock'), path, headers, agent: false }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode!))
    })
    sent.once('error', reject).end()
  })
}

test(
  'five runners with job tokens of their own make each call once; a late one none; the host may die and come back as itself',
  { timeout: 90_000 },
  async () => {
    const api = await apiDouble()
    api.delayMs = 20
    const homeFor = async (): Promise<string> => {
      const home = await mkdtemp(join(tmpdir(), 'rn-'))
      later(() => removeFolder(home))
      return home
    }
    const hostHome = await homeFor()
    const hostAt = (port: string): Promise<Started> =>
      start(['host', '--api', api.url, '--listen', '127.0.0.1', '--port', port], hostHome, {})
    const host = await hostAt('0')
    const address = host.lines.find((line) => line.startsWith('/ip4/'))!
    const port = /\/tcp\/(\d+)\//.exec(address)![1]!
    expect(host.lines.slice(0, 2)).toEqual([`✓ P2P host started, listening on port ${port}`, `Peer ID: ${address.split('/').at(-1)}`])
    const runner = async (env: Record<string, string> = {}) => {
      const home = await homeFor()
      return {
        home,
        ...(await start(['proxy', '--api', api.url, '--shared-scope', 'ci', '--p2p-port', '0'], home, {
          MCP_P2P_BOOTSTRAP_PEERS: address,
          ...env,
        })),
      }
    }
    const runners = await Promise.all(Array.from({ length: 5 }, () => runner()))
    for (const { notes } of runners)
      expect(said(notes)).toEqual([
        '🚀 Initializing P2P cache for runner communication...',
        `✓ P2P bootstrap peers configured: ${address}`,
        expect.stringMatching(/^P2P host started, listening on port [1-9]\d*$/),
        'Connecting to 1 bootstrap peer(s)...',
        '✓ Connected to bootstrap peer',
        '✓ P2P cache initialized',
      ])
    const all = async (from: number, to: number, homes = runners.map(({ home }) => home)): Promise<number[]> => {
      const each = homes.map(async (home, at) => {
        const answers = []
        for (let number = from; number < to; number++) answers.push(await ask(home, `/repos/o/r${number}`, `job${at}`))
        return answers
      })
      return [...new Set((await Promise.all(each)).flat())]
    }
    expect(await all(0, 100)).toEqual([200])
    expect(api.seen).toHaveLength(100)
    const late = await runner()
    expect(await all(0, 100, [late.home])).toEqual([200])
    await ended(late.child, 'SIGTERM') // what it has counted is told yet
    await expect
      .poll(async () => (JSON.parse(await stats(hostHome)) as { group: unknown }).group, { timeout: 20_000, interval: 500 })
      .toMatchObject({ members: 6, api_calls_made: 100, api_calls_saved: 500, misses: 100 })
    const stranger = await runner({ CACHE_P2P_SHARED_SECRET: 'another' })
    expect(stranger.notes.join('\n')).toContain('refused us: it has another secret')
    expect(api.seen).toHaveLength(100)

    expect(said(host.notes)).toHaveLength(6)
    for (const note of said(host.notes)) expect(note).toMatch(/^✓ Connected to peer: 12D3KooW\w{44}$/)

    const during = all(100, 140)
    await expect.poll(() => api.seen.length, { timeout: 20_000, interval: 5 }).toBeGreaterThan(115)
    await ended(host.child, 'SIGKILL')
    expect(await during).toEqual([200])
    expect(api.seen.length).toBeLessThanOrEqual(142) // one of them goes on in its place
    const again = await hostAt(port)
    expect(again.lines[1]).toBe(host.lines[1])
    await expect
      .poll(
        async () => {
          const before = api.seen.length
          expect(await all(before + 1_000, before + 1_001)).toEqual([200])
          return api.seen.length - before
        },
        { timeout: 20_000, interval: 500 },
      )
      .toBe(1)
  },
)
