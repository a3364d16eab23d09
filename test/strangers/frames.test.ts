// Servers of others, spoken to directly and through the gate by the same script: what both ends are given is the same, byte for byte.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type GateUpstream, type RunningGate, startGate } from '../kit/gate.ts'
import { type Conversation, type Era, overHttp, overStdio } from './conversation.ts'
import { clientDifferences, isOwn, serverDifferences } from './frames.ts'
import { type Recorded, type RecordingProxy, recordingProxy } from './recording-proxy.ts'
import { type Server, argvOf, freshFolder, script, servers, startSite } from './servers.ts'
import { strangersMissing } from './strangers.ts'

const missing = strangersMissing()
const recorder = join(import.meta.dirname, 'recorder.ts')
const root = mkdtempSync(join(tmpdir(), 'fairlead-strangers-'))
const proxies = new Map<string, RecordingProxy>()
const children: ChildProcess[] = []
let gate: RunningGate
let site: Awaited<ReturnType<typeof startSite>>

const keyOf = (server: Server): string => server.package.replaceAll(/[^a-z0-9]+/g, '-').replace(/^-/, '')
const folderOf = (server: Server): string => join(root, keyOf(server), 'work')
const envOf = (server: Server): Readonly<Record<string, string>> => server.env?.(folderOf(server), site.url) ?? {}
const logOf = (name: string): string => join(root, `${name}.log`)
const recorded = (server: Server, name: string): readonly [string, ...string[]] => [
  process.execPath,
  recorder,
  logOf(name),
  ...argvOf(server, server.argv(folderOf(server))),
]

/** What the server was sent, by the recorder. */
function given(name: string): string[] {
  if (!existsSync(logOf(name))) return []
  const lines = readFileSync(logOf(name), 'utf8').split('\n')
  return lines.filter((line) => line.startsWith('>')).map((line) => line.slice(1))
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Starts a server that listens for HTTP, and the recorder before it. */
async function startHttp(server: Server): Promise<RecordingProxy> {
  const port = await freePort()
  const folder = folderOf(server)
  freshFolder(server, folder)
  const { argv, env = {}, path } = server.http!(folder, port)
  const [command, ...args] = argvOf(server, argv)
  const child = spawn(command, args, { env: { PATH: process.env['PATH']!, HOME: process.env['HOME']!, ...env }, stdio: 'ignore' })
  children.push(child)
  const isUp = async (): Promise<boolean> => {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'close').then(() => false)]).catch(() => false)
    socket.destroy()
    return isOpen
  }
  await vi.waitUntil(isUp, { timeout: 20_000, interval: 50 })
  return recordingProxy(`http://127.0.0.1:${port}${path}`)
}

const overHttpToo = servers.filter(({ http }) => http)

beforeAll(async () => {
  if (missing !== undefined) return
  site = await startSite()
  const upstreams: Record<string, GateUpstream> = {}
  for (const server of servers) {
    const key = keyOf(server)
    mkdirSync(folderOf(server), { recursive: true })
    const env = Object.entries(envOf(server)).map(([name, value]) => `${name} = ${JSON.stringify(value)}`)
    for (const era of server.eras)
      upstreams[`${key}-${era}`] = { command: recorded(server, `${key}-${era}-gate`), more: `env = { ${env.join(', ')} }` }
  }
  for (const server of overHttpToo) {
    const proxy = await startHttp(server)
    proxies.set(server.package, proxy)
    for (const era of server.eras) upstreams[`${keyOf(server)}-http-${era}`] = { url: proxy.url }
  }
  gate = await startGate({ upstreams })
})
beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
afterAll(async () => {
  await gate?.stop()
  site?.close()
  await Promise.all([...proxies.values()].map((proxy) => proxy.close()))
  for (const child of children) child.kill()
  rmSync(root, { recursive: true, force: true })
})

/** Says the whole script, one thing after the other. */
async function play(conversation: Conversation, server: Server): Promise<void> {
  const { era } = conversation
  for (const [id, { method, params, then }] of script(server, folderOf(server), era).entries()) {
    await conversation.ask(id, method, params)
    if (method === 'initialize') await conversation.tell('notifications/initialized')
    if (then) await conversation.saw(...then)
  }
}

let frames = 0
function counted(what: string, conversation: Conversation, sent: readonly string[]): void {
  frames += conversation.seen.length + sent.length
  console.log(`${what}: ${conversation.seen.length} frames to the client and ${sent.length} to the server are the same with and without the gate`)
}
afterAll(() => console.log(`strangers: ${frames} frames compared`))

const cases = servers.flatMap((server) => server.eras.map((era) => ({ server, era, name: server.package })))

describe('over stdio', () => {
  test.each(cases)('$name, $era', async ({ server, era }) => {
    const key = `${keyOf(server)}-${era}`
    const { answers = {}, clocks = [] } = server
    freshFolder(server, folderOf(server))
    const direct = overStdio(recorded(server, `${key}-direct`), envOf(server), era, answers)
    await play(direct, server)
    await direct.close()

    freshFolder(server, folderOf(server))
    const through = overHttp(gate.url(key), era, answers)
    await play(through, server)
    const client = { direct: direct.seen, through: through.seen }
    await expect.poll(() => clientDifferences(client, clocks), { timeout: 3_000 }).toEqual([])
    await through.close()
    const sent = (): string[] => given(`${key}-gate`).filter((frame) => !isOwn(frame))
    const was = given(`${key}-direct`)
    await expect.poll(() => serverDifferences({ direct: was, through: sent() }, clocks), { timeout: 3_000 }).toEqual([])
    counted(`${server.package}, ${era}, stdio`, through, sent())
  })
})

const httpCases = overHttpToo.flatMap((server) => server.eras.map((era: Era) => ({ server, era, name: server.package })))

const bodies = (requests: readonly Recorded[]): string[] => requests.flatMap(({ body }) => (body === '' ? [] : [body]))
/** In order for each method: a GET stream and the next POST take two ways. */
const heads = (requests: readonly Recorded[]): object =>
  Object.groupBy(
    requests.map(({ method, said }) => ({ method, said })),
    ({ method }) => method,
  )

describe('over HTTP', () => {
  test.each(httpCases)('$name, $era', async ({ server, era }) => {
    const { answers = {}, clocks = [] } = server
    const proxy = proxies.get(server.package)!
    freshFolder(server, folderOf(server))
    const direct = overHttp(proxy.url, era, answers)
    await play(direct, server)
    await direct.close()
    const was = proxy.taken()

    freshFolder(server, folderOf(server))
    const through = overHttp(gate.url(`${keyOf(server)}-http-${era}`), era, answers)
    await play(through, server)
    const client = { direct: direct.seen, through: through.seen }
    await expect.poll(() => clientDifferences(client, clocks), { timeout: 3_000 }).toEqual([])
    expect(through.statuses).toEqual(direct.statuses)
    await through.close()
    const is = proxy.taken().filter(({ body }) => body === '' || !isOwn(body))
    const sent = bodies(is)
    expect(serverDifferences({ direct: bodies(was), through: sent }, clocks)).toEqual([])
    expect(heads(is)).toEqual(heads(was))
    counted(`${server.package}, ${era}, HTTP`, through, sent)
  })
})
