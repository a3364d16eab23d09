// What a start of `mcp-connect` loads: an MCP client waits for it, and each file of the bundle and each part of Node costs a part of a millisecond or several.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createWallet } from '../src/base/identity/wallet.ts'
import { createIdentity } from '../src/base/identity/identity.ts'
import { later } from './kit/cleanup.ts'
import { main } from './kit/program.ts'

/** Notes, at the end of a process, which files of the bundle it loaded, and which parts of Node. */
const spy = (to: string): string => `
  const files = []
  require('node:module').registerHooks({ load(url, context, next) {
    if (url.startsWith('file:')) files.push(url.split('/').at(-1))
    return next(url, context)
  } })
  process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(to)}, JSON.stringify({ files, parts: process.moduleLoadList })))`

let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-start-'))
  await createWallet(join(folder, 'wallet.json'), { name: 'client' })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('mcp-connect loads its own code in few files, and no part of Node that it does not need', () => {
  const [hook, seen] = [join(folder, 'spy.cjs'), join(folder, 'seen.json')]
  writeFileSync(hook, spy(seen))
  const nowhere = [createIdentity().peerId, '--address', '/ip4/127.0.0.1/tcp/9', '--no-lan', '--home', folder]
  const { status, stderr } = spawnSync(process.execPath, ['--require', hook, main, 'reach', 'mcp-connect', ...nowhere], {
    env: { HOME: folder, PATH: process.env['PATH']! },
    input: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n',
    encoding: 'utf8',
  })
  expect([status, stderr]).toEqual([1, expect.stringContaining('ECONNREFUSED')])
  const { files, parts } = JSON.parse(readFileSync(seen, 'utf8')) as { files: string[]; parts: string[] }
  expect(files.filter((file) => file.startsWith('libp2p-')).length).toBeGreaterThan(0)
  expect(files.length).toBeLessThan(14)
  const unneeded = ['cluster', 'worker_threads', 'readline', 'http', 'tls', 'zlib']
  expect(parts.filter((part) => unneeded.includes(part.replace('NativeModule ', '')))).toEqual([])
})

test('without a cluster in its configuration, a gate loads nothing of NATS', async () => {
  const [hook, seen, config] = [join(folder, 'spy-gate.cjs'), join(folder, 'seen-gate.json'), join(folder, 'gate.toml')]
  writeFileSync(hook, spy(seen))
  const start = (cluster: string) => {
    writeFileSync(config, `[gate]\nlisten = "127.0.0.1:0"\nstate = "${folder}/state"\nruntime = "${folder}/run"\n${cluster}`)
    const gate = spawn(process.execPath, ['--require', hook, main, 'gate', 'serve', '--config', config], {
      env: { HOME: folder, PATH: process.env['PATH']! },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    later(() => gate.kill('SIGKILL'))
    return gate
  }
  const ofNats = (): readonly string[] =>
    (JSON.parse(readFileSync(seen, 'utf8')) as { files: string[] }).files.filter((file) =>
      readFileSync(join(dirname(main), file), 'utf8').includes('$JS.API'),
    )
  const plain = start('')
  await once(plain.stdout, 'data')
  plain.kill('SIGTERM')
  expect(await once(plain, 'exit')).toEqual([0, null])
  expect(ofNats()).toEqual([])
  expect(await once(start('[cluster]\nnats = ["nats://127.0.0.1:9"]\n'), 'exit')).toEqual([5, null])
  expect(ofNats().length).toBeGreaterThan(0)
})
