// The demo's fleet, looked at from outside: what `fairlead status` and `fairlead doctor` tell of it is so, also when a daemon hangs or is killed, and a killed demo leaves nothing.
import { spawn } from 'node:child_process'
import { existsSync, readlinkSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Status, StatusLine } from '../../src/base/checks/status.ts'
import { commandOf, descendants, isRunning, until } from '../../src/base/supervise/processes.fixture.ts'
import { cleanUp, keep, later } from '../kit/cleanup.ts'
import { type Bed, bed, finished, isListening, program, run } from './bed.ts'

type Demo = {
  readonly home: string
  readonly gate: string
  readonly cache: string
  readonly nodes: readonly string[]
  readonly tokens: Readonly<Record<'ann' | 'build-bot', string>>
}

let place: Bed
let fleet: Bed
let demo: Demo
let pid = 0

beforeAll(async () => {
  place = bed()
  const child = spawn(program[0], [program[1], 'demo', '--json'], { env: { ...place.env }, stdio: ['ignore', 'pipe', 'pipe'] })
  later(() => child.kill('SIGKILL'))
  pid = child.pid!
  const told = new Promise<Demo>((resolve) => {
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      if ((text += part).endsWith('\n}\n')) resolve(JSON.parse(text) as Demo)
    })
  })
  const first = await Promise.race([told, finished(child, 'any')])
  if ('exitCode' in first) throw new Error(`the demo ended with ${first.exitCode}: ${first.stderr}`)
  demo = first
  fleet = { home: demo.home, env: { ...place.env, FAIRLEAD_HOME: demo.home } }
  keep()
}, 90_000)
afterAll(cleanUp)

/** What the command prints, how it ended, and how long that took. */
async function status(): Promise<{ readonly status: Status; readonly exitCode: number | null; readonly tookMs: number }> {
  const { stdout, exitCode, tookMs } = await run(fleet, ['status', '--json'])
  return { status: JSON.parse(stdout) as Status, exitCode, tookMs }
}

function lineOf({ sections }: Status, name: string): StatusLine | undefined {
  return sections.flatMap(({ lines }) => lines).find((line) => line.name === name)
}

/** Processes of this demo, whose command line has all these words. */
function ofDemo(...words: readonly string[]): number[] {
  return descendants(pid).filter((one) => words.every((word) => commandOf(one).includes(word)))
}

/** The one process of that; it has to be one. */
function theOne(...words: readonly string[]): number {
  const found = ofDemo(...words)
  expect(found, words.join(' ')).toHaveLength(1)
  return found[0]!
}

/** By the user of that token, of the notes behind the gate, without any code of ours. */
async function callNotes(token: string, name: string): Promise<{ readonly httpStatus: number; readonly body: string }> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {}, _meta: modern } })
  return new Promise((resolve, reject) => {
    const asked = request(
      demo.gate.replace(/[^/]+$/, 'notes'),
      {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2026-07-28',
          'mcp-method': 'tools/call',
          'mcp-name': name,
        },
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => (text += part))
        response.on('end', () => resolve({ httpStatus: response.statusCode!, body: text }))
      },
    )
    asked.on('error', reject).end(body)
  })
}
const modern = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
}

test('what really runs is told, and what is wrong on purpose has its remedy; status ends with 3', async () => {
  const { status: seen, exitCode } = await status()
  expect(exitCode).toBe(3)
  expect(seen.sections.map(({ title }) => title)).toEqual(['Cache', 'Gate', 'Machine', 'Peers', 'Services'])
  const bad = seen.sections.flatMap(({ lines }) => lines.filter((line) => line.standing === 'bad'))
  expect(bad.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['tools of notes', 'doctrine', 'service web on cellar', 'service mail on garage', 'service camera on garage']),
  )
  expect(bad.filter(({ remedy }) => remedy === undefined)).toEqual([])
  expect(lineOf(seen, 'service web on cellar')).toMatchObject({
    text: expect.stringContaining('image is site:v1, not site:v2') as string,
    remedy: 'fairlead run deploy web',
  })
  expect(lineOf(seen, 'service mail on garage')!.text).toContain('exited')
  expect(lineOf(seen, 'node attic')!.text).toContain('2 of 2 services as they should be: forge, notes')
  expect(lineOf(seen, 'approvals')).toMatchObject({ remedy: 'fairlead gate approve' })
  expect(lineOf(seen, 'connector crown_handshake')!.text).toMatch(/rotation is due|fresh for 1 min/)
  expect(lineOf(seen, 'sessions')!.text).toBe('1 connected')
  // the events are what happened: the bot was refused by a rule, a stranger at the door
  const texts = seen.events.map(({ about, text }) => `${about}: ${text}`).join('\n')
  expect(texts).toContain('build-bot: refused: add_note at notes: no rule lets build-bot')
  expect(texts).toContain('somebody: refused at the door (http): POST /mcp/notes: a valid credential is needed')
  // and from outside: what should run are processes below the demo, each once, and the gate lets in whom it should
  for (const node of demo.nodes) theOne('run agent', join(demo.home, 'nodes', node, 'mcp-agent.toml'))
  for (const part of [' up ', 'share proxy']) theOne(part, '--json')
  expect(servicesOf('attic')).toHaveLength(2)
  expect((await callNotes(demo.tokens.ann, 'list_notes')).body).toContain('water the plants')
  expect((await callNotes(demo.tokens['build-bot'], 'add_note')).body).toContain('no rule lets build-bot')
  const cached = Number(/(\d+) calls of the API saved/.exec(lineOf(seen, 'cache')!.text)![1])
  expect(cached).toBeGreaterThan(0)
}, 60_000)

/** The processes of a node's services: what runs in its folders. */
function servicesOf(node: string): number[] {
  const folder = join(demo.home, 'nodes', node, 'process')
  return ofDemo('main.mjs').filter((one) => folderOf(one).startsWith(folder))
}

function folderOf(one: number): string {
  try {
    return readlinkSync(`/proc/${one}/cwd`)
  } catch {
    return '' // it is gone
  }
}

test('doctor asks each capability that is used, and ends with 3; what is not used is not asked', async () => {
  const { stdout, exitCode } = await run(fleet, ['doctor', '--json'])
  const { findings, isGood } = JSON.parse(stdout) as {
    readonly isGood: boolean
    readonly findings: readonly { readonly capability: string; readonly name: string; readonly verdict: string; readonly remedy?: string }[]
  }
  expect({ exitCode, isGood }).toEqual({ exitCode: 3, isGood: false })
  expect(new Set(findings.map(({ capability }) => capability))).toEqual(new Set(['config', 'gate', 'operate', 'reach', 'run', 'share']))
  const of = (capability: string, name: string) => findings.find((one) => one.capability === capability && one.name === name)
  expect(of('reach', 'registered')).toMatchObject({ verdict: 'good' })
  expect(of('gate', 'record')).toMatchObject({ verdict: 'good' })
  expect(of('gate', 'doctrine tools-pinned')).toMatchObject({ verdict: 'bad' })
  expect(of('gate', 'tools of notes')).toMatchObject({ verdict: 'bad', remedy: 'fairlead gate approve' })
  expect(of('run', 'service web on cellar')).toMatchObject({ verdict: 'bad', remedy: 'fairlead run deploy web' })
  expect(findings.filter(({ verdict, remedy }) => verdict === 'bad' && remedy === undefined)).toEqual([])
}, 60_000)

test('a daemon that hangs is said to hang, soon, and the others are told all the same', async () => {
  const agent = theOne('run agent', join(demo.home, 'nodes', 'cellar', 'mcp-agent.toml'))
  const usual = await status()
  process.kill(agent, 'SIGSTOP')
  later(() => process.kill(agent, 'SIGCONT'))
  const { status: seen, exitCode, tookMs } = await status()
  expect(exitCode).toBe(3)
  expect(tookMs - usual.tookMs).toBeLessThan(2_000) // half a second of patience, on a busy machine
  expect(lineOf(seen, 'node cellar')).toMatchObject({ standing: 'bad', text: expect.stringContaining('did not answer') as string })
  expect(lineOf(seen, 'node attic')).toMatchObject({ standing: 'good' })
  expect(lineOf(seen, 'gate')).toMatchObject({ standing: 'good' })
}, 30_000)

test('--watch looks again and again, and ends by the last look when it is stopped', async () => {
  const child = spawn(program[0], [program[1], 'status', '--watch', '--json'], { env: { ...fleet.env }, stdio: ['ignore', 'pipe', 'pipe'] })
  later(() => child.kill('SIGKILL'))
  const ended = finished(child)
  const looks: Status[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    looks.push(JSON.parse(line) as Status)
    if (looks.length === 2) child.kill('SIGINT')
  }
  expect((await ended).exitCode).toBe(3)
  expect(looks.length).toBe(2)
  expect(looks[1]!.at).toBeGreaterThan(looks[0]!.at)
}, 30_000)

type Living = { readonly pid: number; readonly command: string }

function seen(one: number): Living {
  return { pid: one, command: commandOf(one) }
}

/** Another process may have its number by now. */
function isStill({ pid: one, command }: Living): boolean {
  return isRunning(one) && commandOf(one) === command
}

test('a killed gate is said to be killed, and a killed demo leaves no process', async () => {
  const up = theOne(' up ', '--json')
  const port = Number(new URL(demo.gate).port)
  expect(await isListening(port)).toBe(true)
  process.kill(up, 'SIGKILL')
  await until('the gate is gone', () => !isRunning(up))
  const { status: told } = await status()
  const killed = { standing: 'bad', text: expect.stringContaining('killed') as string, remedy: 'fairlead gate serve' }
  expect(lineOf(told, 'gate')).toMatchObject(killed)
  expect(lineOf(told, 'node attic')).toMatchObject({ standing: 'good' })
  const left = descendants(pid).map(seen)
  expect(left.map(({ command }) => command)).toEqual(expect.arrayContaining([expect.stringContaining('share proxy')]))
  process.kill(pid, 'SIGKILL')
  await until('all of it is gone', () => left.every((one) => !isStill(one)), 15_000)
  expect(await isListening(port)).toBe(false)
  expect(existsSync(demo.home)).toBe(true) // its files are left for the next one to remove
}, 60_000)
