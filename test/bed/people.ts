// What the tests on the bed have in common: the program as processes of people, each with a home, an environment and a namespace of its own.
// Imports nothing of the program.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type McpClient, mcpClient } from '../kit/mcp-client.ts'
import { spawnInside } from './namespaces.ts'

export const root = resolve(import.meta.dirname, '../..')
/** The argv of the program as it stands in the source. */
export const fromSource: readonly string[] = [process.execPath, join(root, 'src/main.ts')]

export type Running = { readonly pid: number; said(): string; stop(signal?: NodeJS.Signals): Promise<void> }

/** Somebody at a place, who has this program. */
export type Person = { readonly place: string; readonly env: Readonly<Record<string, string>>; readonly program: readonly string[] }

export function person(
  place: string,
  folder: string,
  who: string,
  { env = {}, program = fromSource }: { readonly env?: Readonly<Record<string, string>>; readonly program?: readonly string[] } = {},
): Person {
  return { place, env: { HOME: join(folder, who), PATH: process.env['PATH']!, ...env }, program }
}

const reach = ({ program }: Person, ...words: readonly string[]): string[] => [...program, 'reach', ...words]

/** Runs a command of reach to its end; rejects when it fails, with its `code`, `stdout` and `stderr`. */
export async function run(who: Person, ...words: readonly string[]): Promise<string> {
  const argv = ['netns', 'exec', who.place, ...reach(who, ...words)]
  return (await promisify(execFile)('ip', argv, { env: { ...who.env }, encoding: 'utf8' })).stdout
}

export async function idOf(who: Person): Promise<string> {
  return (JSON.parse(await run(who, 'status', '--json')) as { peerId: string }).peerId
}

/** Starts what runs until it is stopped, and waits until `isReady` of what it said. */
export async function start(
  { place, env }: Pick<Person, 'place' | 'env'>,
  argv: readonly string[],
  isReady: (said: string) => boolean,
  undo: (() => unknown)[],
): Promise<Running> {
  const child = spawnInside(place, argv, env)
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
  await until(`${argv.join(' ')} says where it is: ${said}`, () => isOver || isReady(said))
  if (isOver) throw new Error(`it ended: ${said}`)
  return { pid: child.pid!, said: () => said, stop }
}

/** The same with a command of reach, which says where it is when it serves. */
export function serve(who: Person, undo: (() => unknown)[], ...words: readonly string[]): Promise<Running> {
  return start(who, reach(who, ...words, '--json'), (said) => said.includes('\n}\n'), undo)
}

export function connect(who: Person, undo: (() => unknown)[], peer: string, ...words: readonly string[]): McpClient {
  const client = mcpClient(['ip', 'netns', 'exec', who.place, ...reach(who, 'mcp-connect', peer, ...words)], who.env)
  undo.push(() => client.process.kill('SIGKILL'))
  return client
}

export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  const late = wait(ms, undefined, { ref: false }).then(() => Promise.reject(new Error(`${what}: not within ${ms} ms`)))
  return Promise.race([promise, late])
}

/** Looks again and again, for 30 s at most. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const from = performance.now(); !(await isSo()); await wait(20))
    if (performance.now() - from > 30_000) throw new Error(`waited 30 s until ${what}`)
}

export type Capture = { end(): Promise<Buffer> }

/** Captures all that passes at a place, loopback too. */
export async function capture(place: string, file: string, undo: (() => unknown)[]): Promise<Capture> {
  const words = ['tcpdump', '-i', 'any', '-s', '0', '-B', '16384', '-U', '--immediate-mode', '-Z', 'root', '-w', file]
  const who = { place, env: { PATH: process.env['PATH']! } }
  const tcpdump = await start(who, words, (said) => said.includes('listening on'), undo)
  return {
    async end() {
      await within(10_000, 'the end of tcpdump', tcpdump.stop('SIGINT'))
      if (!/^0 packets dropped by kernel/m.test(tcpdump.said())) throw new Error(`packets were lost: ${tcpdump.said()}`)
      return readFileSync(file)
    },
  }
}
