// A peer found on its local network by its id, with no registry anywhere and no default route: machines on one switch, each with processes and a home of its own.
// Imports nothing of the program.
import { execFile, spawn } from 'node:child_process'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type McpClient, mcpClient } from '../kit/mcp-client.ts'
import { main } from '../kit/program.ts'
import { type Host, type Stage, createStage, obstacle } from '../script/stage.ts'

const root = resolve(import.meta.dirname, '../..')
const missing = obstacle()
const env = { PATH: process.env['PATH']! }

let stage: Stage
const at = (name: string): Host => stage.hosts.get(name)!
const reach = (name: string, ...words: readonly string[]): [string, ...string[]] =>
  at(name).inside(process.execPath, main, 'reach', ...words)

type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string }

async function run(name: string, ...words: readonly string[]): Promise<Ran> {
  const [command, ...args] = reach(name, ...words)
  const ended = promisify(execFile)(command, args, { env, encoding: 'utf8', timeout: 60_000 })
  return ended.then(
    (out) => ({ code: 0, ...out }),
    (error: Ran) => error,
  )
}

/** Starts what serves, and waits for what it says of itself. It ends with its machine. */
async function serve(argv: readonly [string, ...string[]], mark: string): Promise<void> {
  const [command, ...args] = argv
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  let isOver = false
  child.once('close', () => (isOver = true))
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  await expect.poll(() => isOver || said.includes(mark), { timeout: 60_000 }).toBe(true)
  if (isOver) throw new Error(`it ended: ${said}`)
}

const idOf = async (name: string): Promise<string> => {
  await run(name, 'init', '--name', name)
  return (JSON.parse((await run(name, 'status', '--json')).stdout) as { peerId: string }).peerId
}
const serving = (name: string, client: string, ...words: readonly string[]): Promise<void> =>
  serve(
    reach(
      name,
      'mcp-serve',
      '--authorized-peer',
      client,
      '--command',
      `${process.execPath} ${join(root, 'test/kit/echo-server.ts')}`,
      '--json',
      ...words,
    ),
    '\n}\n',
  )

/** What was remembered of earlier tests. */
const forget = async (): Promise<void> => void (await at('mac').run('rm -f ~/.local/state/fairlead/reach/addresses.json'))

function connect(name: string, peer: string, ...words: readonly string[]): McpClient {
  return mcpClient(reach(name, 'mcp-connect', peer, ...words), env)
}

let box = ''
let mac = ''

beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
beforeAll(async () => {
  if (missing !== undefined) return
  stage = await createStage(['box', 'mac', 'eve'])
  ;[box, mac] = await Promise.all([idOf('box'), idOf('mac')])
}, 90_000)
afterAll(async () => {
  await stage?.close()
})

test('two machines, no registry, no default route: each command finds the peer by its id', { timeout: 120_000 }, async () => {
  expect((await at('mac').run('ip route')).output).not.toContain('default')
  await serving('box', mac)
  const client = connect('mac', box)
  await client.initialize()
  expect(await client.call('echo', { text: 'over the LAN' })).toContain('over the LAN')
  client.process.stdin.end()
  expect(await client.ended).toBe(0)

  await forget()
  expect(await run('mac', 'send', box, 'hello')).toMatchObject({ code: 0, stdout: `delivered to ${box}\n` })
  await forget()
  const refused = await run('mac', 'send', box, 'hello', '--no-lan', '--no-mailbox')
  expect(refused.stderr).toContain('the registry at localhost:8765 does not answer')
  expect((await run('mac', 'send', 'box', 'hello', '--no-mailbox')).code).toBe(5) // a name is nobody's on a network
  const { stdout } = await run('mac', 'doctor', box)
  expect(stdout).toMatch(
    new RegExp(`^good +peer-nearby +/ip4/${at('box').address}/tcp/8766/p2p/${box}: somebody on this network answers for it$`, 'm'),
  )
  expect(stdout).toMatch(/^good +peer-answers .*it answers, and proves its id/m)
  expect(stdout).toMatch(/^good +authorized /m)
})

/** Answers every question as if it were about itself, after a lot of noise, and faster than whoever is meant. */
const liar = `import { createSocket } from 'node:dgram'
const socket = createSocket({ type: 'udp4', reuseAddr: true })
socket.on('message', (bytes, from) => {
  const head = Buffer.from([bytes[0], bytes[1], 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0])
  const answer = Buffer.concat([head, bytes.subarray(12), Buffer.from('c00c00100001000000' + '0a000a09', 'hex'), Buffer.from('port=8766')])
  for (let size = 0; size < answer.length; size++) socket.send(answer.subarray(0, size), from.port, from.address)
  socket.send(answer, from.port, from.address)
})
socket.bind(5353, () => {
  socket.addMembership('224.0.0.251', process.argv[2])
  console.log('lying')
})
`

test('a liar who answers for everybody wins nothing: the key decides', { timeout: 120_000 }, async () => {
  await idOf('eve')
  await serving('eve', mac)
  at('eve').write('~/liar.mjs', liar)
  await serve(at('eve').inside(process.execPath, '/home/user/liar.mjs', at('eve').address), 'lying')
  await forget()
  const client = connect('mac', box)
  await client.initialize()
  expect(await client.call('echo', { text: 'not to Eve' })).toBe('not to Eve')
  client.process.stdin.end()
  expect(await client.ended).toBe(0)
  await forget()
  const { stdout } = await run('mac', 'doctor', box)
  expect(stdout).toMatch(new RegExp(`^bad +peer-answers +/ip4/${at('eve').address}/tcp/8766.*Handshake Failed`, 'm'))
  expect(stdout).toMatch(new RegExp(`^good +peer-answers +/ip4/${at('box').address}/tcp/8766`, 'm'))
})
