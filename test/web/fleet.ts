// What the dashboard's tests stand on: the fleet of `fairlead demo` as a person brings it up, its daemons asked beside the page, and its processes looked at from outside.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commandOf, isRunning, everyProcess } from '../../src/base/supervise/processes.fixture.ts'
import { type GateCalls, gateCalls } from '../../src/gate/client.ts'
import { type MachineCalls, machineCalls } from '../../src/operate/client.ts'
import { reachCalls } from '../../src/reach/client.ts'
import { type NodeClient, nodeClient } from '../../src/run/client.ts'
import { shareCalls } from '../../src/share/client.ts'
import { placesIn } from '../../src/share/places.ts'
import { later } from '../kit/cleanup.ts'
import { main } from '../kit/program.ts'

type Shown = {
  readonly home: string
  readonly dashboard: string
  readonly signIn: string
  readonly ownerTokenFile: string
  readonly tokens: Readonly<Record<'ann' | 'build-bot', string>>
}

export type TestFleet = Shown & {
  readonly gate: GateCalls
  readonly peer: ReturnType<typeof reachCalls>
  readonly cache: ReturnType<typeof shareCalls>
  readonly machine: MachineCalls
  readonly node: (name: string) => NodeClient['calls']
  readonly owner: string
}

/** It ends with the test, and its files. */
export async function startFleet(): Promise<TestFleet> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-web-'))
  later(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const child = spawn(process.execPath, [main, 'demo', '--json'], {
    env: { PATH: process.env['PATH']!, HOME: folder, FAIRLEAD_HOME: folder, FAIRLEAD_LOG: 'warn' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  later(async () => {
    const ended = once(child, 'exit')
    if (child.exitCode === null && child.kill('SIGTERM')) await ended
  })
  const shown = await toldBy(child)
  const runtime = join(shown.home, 'run')
  return {
    ...shown,
    gate: gateCalls(join(runtime, 'gate')),
    peer: reachCalls(join(runtime, 'peer')),
    cache: shareCalls(placesIn({ state: join(shown.home, 'state'), runtime })),
    machine: machineCalls(join(runtime, 'machine')),
    node: (name) => nodeClient({ is: 'unix', folder: join(shown.home, 'nodes', name, 'run') }).calls,
    owner: readFileSync(shown.ownerTokenFile, 'utf8').trim(),
  }
}

async function toldBy(child: ChildProcess): Promise<Shown> {
  let [text, problems] = ['', '']
  child.stderr!.setEncoding('utf8').on('data', (part: string) => (problems += part))
  return new Promise((resolve, reject) => {
    child.stdout!.setEncoding('utf8').on('data', (part: string) => {
      text += part
      if (text.endsWith('\n}\n')) resolve(JSON.parse(text) as Shown)
    })
    child.once('exit', () => reject(new Error(`the demo ended: ${problems}`)))
  })
}

/** The processes of services on a node whose command line begins so. */
export function pidsOn({ home }: Pick<Shown, 'home'>, node: string, command: string): number[] {
  return everyProcess()
    .map(({ pid }) => pid)
    .filter((pid) => isRunning(pid) && commandOf(pid).startsWith(command) && folderOf(pid).startsWith(join(home, 'nodes', node)))
}

function folderOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return '' // it is gone
  }
}
