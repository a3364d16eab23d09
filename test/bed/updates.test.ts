// Updates that go wrong, with real podman, a real agent that is not root, and a real registry: what ran well is there again in time, whoever deploys is told why, and
// wherever old and new can run at once nobody who calls notices anything.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { obstacle } from './containers.ts'
import { answering, serving } from './images.ts'
import { type RootlessNode, createRootlessNode, freePort } from './rootless-node.ts'

const missing = obstacle()
const withinMs = 1_500
/** What stopping and starting may take besides, on a machine that others load. */
const spareMs = 7_000
let node: RootlessNode
let cable: Cable
let port: number

beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
beforeAll(async () => {
  if (missing !== undefined) return
  node = await createRootlessNode()
  keep()
  cable = await createCable(Number(node.home.registry.split(':')[1]))
  port = await freePort()
  // the registry behind the cable is spoken to without TLS as well
  const trusted = `[[registry]]\nlocation = "${cable.address}"\ninsecure = true\n`
  await node.home.feed(trusted, 'sh', '-c', 'cd .config/containers; cat registries.conf - >more; mv -f more registries.conf')
  await node.home.killService()
  await node.home.startService()
  const images = [{ tag: 'v1', image: mcpServer('three notes') }, ...drills]
  await Promise.all(images.map(({ tag, image }) => node.push(`notes:${tag}`, image)))
}, 60_000)
afterAll(async () => {
  await cable?.cut()
  await node?.close()
  await cleanUp()
}, 60_000)

/** An MCP server with one tool, which says so. */
const mcpServer = (said: string) =>
  serving(
    'notes',
    9000,
    answering(`body=$(head -c "$length")
id=$(printf %s "$body" | sed -n 's/.*"id":\\([0-9]*\\).*/\\1/p')
result='{"content":[{"type":"text","text":"${said}"}]}'
case $method$body in
  *'"method":"initialize"'*) result='{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"notes","version":"1"}}' ;;
  *'"method":"notifications/'*) status='202 Accepted' ;;
  *'"method":"tools/list"'*) result='{"tools":[{"name":"list_notes","inputSchema":{"type":"object"}}]}' ;;
  *'"method":"tools/call"'*) ;;
  *) status='405 Method Not Allowed' ;;
esac
answer='{"jsonrpc":"2.0","id":'$id',"result":'$result'}'
case $status in 20[0]*) ;; *) answer= ;; esac`),
  )

/** The way to the registry, which can break in the middle of an answer. */
interface Cable {
  readonly address: string
  /** Once so many bytes have come from the registry; then it is gone. Resolves when it has broken. */
  breakAfter(bytes: number): Promise<void>
  mend(): Promise<void>
  cut(): Promise<void>
}

async function createCable(to: number): Promise<Cable> {
  let left = Infinity
  let broken = Promise.withResolvers<void>()
  const sockets = new Set<Socket>()
  let server: Server
  const cut = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    await closed
  }
  const open = async (at: number): Promise<number> => {
    server = createServer((near) => {
      const far = connect(to, '127.0.0.1')
      for (const one of [near, far])
        sockets.add(one.on('error', () => {}).on('close', () => [near, far].map((each) => sockets.delete(each.destroy()))))
      near.pipe(far)
      far.on('data', (bytes: Buffer) => {
        left -= bytes.length
        if (left < 0) void cut().then(broken.resolve)
        else near.write(bytes)
      })
    }).listen(at, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const at = await open(0)
  return {
    address: `127.0.0.1:${at}`,
    breakAfter(bytes) {
      left = bytes
      broken = Promise.withResolvers()
      return broken.promise
    },
    async mend() {
      left = Infinity
      await open(at)
    },
    cut,
  }
}

/** Calls the tool at the port, again and again, like somebody who knows nothing of updates; `bad`: what else was answered. */
function probe() {
  const over = new AbortController()
  const bad = new Set<string>()
  let asked = 0
  const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_notes"}}'
  const ask = async (): Promise<void> => {
    const headers = { 'content-type': 'application/json', connection: 'close' }
    const answer = await fetch(`http://127.0.0.1:${port}/mcp`, { method: 'POST', headers, body, signal: AbortSignal.timeout(2_000) })
    const text = await answer.text()
    if (!text.includes('three notes')) throw new Error(text)
  }
  const asking = (async () => {
    for (; !over.signal.aborted; asked++) await ask().catch((error: unknown) => bad.add(String((error as Error).cause ?? error)))
  })()
  return {
    /** Resolves when it has asked so often. */
    more: (times: number) => expect.poll(() => asked, { timeout: 30_000 }).toBeGreaterThan(asked + times),
    async end() {
      over.abort()
      await asking
      return [...bad]
    },
  }
}

const define = (image: string, at: number, within = withinMs): void =>
  writeFileSync(
    join(node.bed.services, 'notes.toml'),
    `name = "notes"
node = "rift"
[[components]]
name = "notes"
image = "${image}"
ports = ["${at}:9000"]
stop_within = "1s"

[components.health]
within = "${within}ms"
interval = "200ms"
retries = 1
[components.mcp]
url = "http://127.0.0.1:${at}/mcp"
probe = { tool = "list_notes", expect = "three notes" }
`,
  )
/** What podman itself says that there is. */
const there = async (format: string): Promise<string> => (await node.home.podman('ps', '--all', '--format', format)).trim()
const life = '{{.Names}} {{.ImageID}} {{.ID}} {{.Pid}}'

async function deploy(): Promise<{ exitCode: number | null; stdout: string; stderr: string; tookMs: number }> {
  const from = performance.now()
  const { exitCode, stdout, stderr } = await node.bed.mcp(['deploy', 'notes'])
  return { exitCode, stdout, stderr, tookMs: performance.now() - from }
}

const drills = [
  {
    what: 'an image that exits',
    tag: 'exits',
    image: { files: {}, cmd: ['sh', '-c', 'echo opening the database; echo no such table: notes >&2; exit 3'] },
    why: 'ended with exit code 3',
    printed: ['opening the database', 'no such table: notes'],
  },
  {
    what: 'an image that starts, and is no MCP server',
    tag: 'no-server',
    image: serving('a web server', 9000, answering(`status='404 Not Found'; answer='{"no":"such page"}'`)),
    why: 'the call through notes',
    printed: ['a web server: serving'],
  },
  {
    what: 'an image that answers wrongly',
    tag: 'wrong',
    image: mcpServer('no notes at all'),
    why: 'list_notes answered without "three notes": no notes at all',
    printed: ['notes: serving'],
  },
] as const

test('what is deployed first answers', async () => {
  define(`${node.home.registry}/notes:v1`, port, 30_000)
  expect(await deploy()).toMatchObject({ exitCode: 0 })
  expect(await there('{{.Names}} {{.Status}}')).toMatch(/^notes Up /)
  const prober = probe()
  await prober.more(1)
  expect(await prober.end()).toEqual([])
})

test.for(drills)('$what, on another port: the old one answers all along, and why it stays is told', async ({ tag, why, printed }) => {
  const before = await there(life)
  const prober = probe()
  define(`${node.home.registry}/notes:${tag}`, await freePort())
  const { exitCode, stdout, tookMs } = await deploy()
  expect(exitCode).toBe(1)
  expect(stdout).toMatch(/^rift:\n {2}notes: went back: /)
  expect(stdout).toContain(why)
  for (const line of printed) expect(stdout).toContain(`\n    | ${line}\n`)
  expect(tookMs).toBeLessThan(withinMs + spareMs)
  expect((await node.bed.mcp(['history', 'notes'])).stdout).toContain(why)
  // nor does the node touch it later: it is not well in the way that the definition asks now, since it is not what that says
  await expect.poll(async () => (await node.bed.mcp(['status', 'notes'])).stdout, { timeout: 10_000 }).toContain('unhealthy')
  await prober.more(15)
  expect(await prober.end()).toEqual([])
  expect(await there(life)).toBe(before)
})

// What a server that is none answers makes no difference in this way of updating: two of them are enough.
test.for(drills.filter(({ tag }) => tag !== 'no-server'))(
  '$what, on the same port: the old one is back in time',
  async ({ tag, why, printed }) => {
    const before = await there('{{.Names}} {{.ImageID}} {{.ID}}')
    define(`${node.home.registry}/notes:${tag}`, port)
    const { exitCode, stdout, tookMs } = await deploy()
    expect(exitCode).toBe(1)
    expect(stdout).toContain(why)
    for (const line of printed) expect(stdout).toContain(`\n    | ${line}\n`)
    expect(tookMs).toBeLessThan(withinMs + spareMs)
    const prober = probe()
    await prober.more(10)
    expect(await prober.end()).toEqual([])
    expect(await there('{{.Names}} {{.ImageID}} {{.ID}}')).toBe(before)
  },
)

test('a registry that is gone in the middle of a layer: nothing was touched, and later it is fetched', async () => {
  const tag = await node.push('notes:whole', mcpServer('three notes, all of them'), cable.address)
  const before = await there(life)
  const prober = probe()
  define(tag, port, 30_000)
  const broken = cable.breakAfter(300_000)
  const failed = await deploy()
  await broken
  expect(failed).toMatchObject({ exitCode: 5, stderr: expect.stringContaining(`${tag} could not be fetched: `) })
  expect(failed.stderr).toMatch(/connection re(?:fused|set)|EOF/)
  expect(failed.tookMs).toBeLessThan(15_000)
  await prober.more(10)
  expect(await prober.end()).toEqual([])
  expect(await there(life)).toBe(before)
  await cable.mend()
  expect(await deploy()).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('notes: ok: whole') })
}, 60_000)
