// The program on two machines behind routers that let nothing in, and its registry in the public place between them: each a process of its own with a home and a
// namespace of its own. Tests and a benchmark cut the path between them. Imports nothing of the program.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type McpClient, mcpClient } from '../kit/mcp-client.ts'
import { type Lab, type Side, createLab, spawnInside } from './namespaces.ts'

const root = resolve(import.meta.dirname, '../..')

export type Running = { readonly pid: number; said(): string; stop(signal?: NodeJS.Signals): Promise<void> }

/** One way to cut the path. Resolves when nothing of it is cut any more. */
export type Cut = (forMs: number, side: Side) => Promise<void>
export type CutKind = 'cable' | 'swallowed' | 'relay killed' | 'address changed'

export interface TwoMachines {
  readonly lab: Lab
  readonly folder: string
  /** The peer id of the machine that serves. */
  readonly box: string
  /** Every line that the MCP server has written so far: `started PID`, and the id of each call. */
  calls(): string[]
  /** An MCP client on the other machine. */
  connect(...words: readonly string[]): McpClient
  readonly cuts: Readonly<Record<CutKind, Cut>>
  /** Done at `close`, last first. */
  undo(step: () => unknown): void
  envOf(who: string): Record<string, string>
  close(): Promise<void>
}

/** Looks again and again, for 30 s at most. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const from = performance.now(); !(await isSo()); await wait(20))
    if (performance.now() - from > 30_000) throw new Error(`waited 30 s until ${what}`)
}

/** Starts it all, `program` being the argv of the program itself; resolves when the one reaches the other through the relay. */
export async function twoMachines(program: readonly string[]): Promise<TwoMachines> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-bed-'))
  const lab = createLab()
  const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true }), () => lab.close()]
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step()
  }
  const envOf = (who: string): Record<string, string> => ({ HOME: join(folder, who), PATH: process.env['PATH']! })
  const reach = (...words: readonly string[]): string[] => [...program, 'reach', ...words]

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

  const startRegistry = (): Promise<Running> =>
    serve(lab.public, 'registry', 'registry', '--host', '0.0.0.0', '--announce', '/ip4/203.0.113.1/tcp/8765')
  const idOf = async (place: string, who: string): Promise<string> =>
    (JSON.parse(await run(place, who, 'status', '--json')) as { peerId: string }).peerId

  try {
    const counted = join(folder, 'calls')
    writeFileSync(counted, '')
    let registry = await startRegistry()
    await Promise.all([run(lab.box, 'box', 'init', '--name', 'Box'), run(lab.mac, 'mac', 'init', '--name', 'Mac')])
    const server = ['--server', lab.publicAddress]
    await run(lab.mac, 'mac', 'register', ...server)
    const mac = await idOf(lab.mac, 'mac')
    const command = `${process.execPath} ${join(root, 'test/bed/counting-server.mjs')} ${counted}`
    await serve(lab.box, 'box', 'mcp-serve', '--authorized-peer', mac, '--command', command, ...server)
    const box = await idOf(lab.box, 'box')
    await until('Box is reached through the relay', async () => /Box .*relayed/.test(await run(lab.mac, 'mac', 'peers')))
    const around =
      (set: (side: Side, isCut: boolean) => void): Cut =>
      async (forMs, side) => {
        set(side, true)
        await wait(forMs)
        set(side, false)
      }
    return {
      lab,
      folder,
      box,
      calls: () => readFileSync(counted, 'utf8').trim().split('\n'),
      connect(...words) {
        const client = mcpClient(['ip', 'netns', 'exec', lab.mac, ...reach('mcp-connect', box, ...words)], envOf('mac'))
        undo.push(() => client.process.kill('SIGKILL'))
        return client
      },
      cuts: {
        cable: around((side, isCut) => lab.cable(side, !isCut)),
        swallowed: around((side, isCut) => lab.swallow(side, isCut)),
        async 'relay killed'(forMs) {
          await registry.stop('SIGKILL')
          await wait(forMs)
          registry = await startRegistry()
        },
        'address changed': async (_, side) => lab.move(side),
      },
      undo: (step) => void undo.push(step),
      envOf,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
