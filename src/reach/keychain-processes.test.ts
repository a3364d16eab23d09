// R1 with a passphrase that the keychain of the system remembers: real processes, a real Secret Service (gnome-keyring) with nobody to ask, a real terminal.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { atTerminal } from '../../test/kit/at-terminal.ts'
import { type TestKeyring, keyringMissing, startKeyring } from '../../test/kit/keyring.ts'
import { type ReachBench, echoCommand, local, portOf, reachBench } from '../../test/kit/reach-bench.ts'
import { readWalletCard } from '../base/identity/wallet.ts'

vi.setConfig({ testTimeout: 180_000 }) // many processes, each with a second of scrypt

const main = resolve(import.meta.dirname, '../main.ts')
const passphrase = 'keychain-Marker-57 "é"'
const env: Record<string, string> = { OURS: passphrase, OTHER: 'another-Marker-58', BACKUP_PASSPHRASE: 'backup-Marker-59' }
const named = ['--passphrase-env', 'OURS']
let bench: ReachBench
let keyring: TestKeyring
beforeAll(async () => {
  bench = await reachBench(env)
})
afterEach(() => bench.reset())
afterAll(() => bench.close())
let count = 0
beforeEach(async ({ skip }) => {
  skip(keyringMissing !== undefined, keyringMissing)
  const folder = join(bench.folder, `keyring-${++count}`)
  mkdirSync(folder)
  keyring = await startKeyring(folder)
  Object.assign(env, keyring.env)
  bench.undo(() => keyring.stop())
})

const walletOf = (home: string): string => join(bench.folder, home, '.local/state/fairlead/reach/wallet.json')
const json = async <T>(home: string, ...words: string[]): Promise<T> => {
  const { exitCode, stdout, stderr } = await bench.run(home, ...words, '--json')
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.not.stringContaining('error') as string })
  return JSON.parse(stdout) as T
}
/** What a program that knows nothing of ours finds under the item that the wallet names. */
const remembered = (home: string): string => {
  const item = readWalletCard(walletOf(home))?.keychain
  return item === undefined ? '' : Buffer.from(keyring.secretOf(item), 'base64url').toString()
}

test('R1, R2, R11, R12, R14: init, status, register, agent, messages, rotation and backup go on with nobody typing anything', async () => {
  const { peerId } = await json<{ peerId: string }>('box', 'init', '--name', 'box', '--keychain', ...named)
  expect(remembered('box')).toBe(passphrase)
  expect(readFileSync(walletOf('box'), 'utf8')).toContain('scrypt')
  expect(await json('box', 'status')).toMatchObject({ peerId, sealed: true, isInKeychain: true })
  expect((await bench.run('box', 'status')).stdout).toContain('that the keychain remembers')

  const registry = await bench.serve('registry', 'registry', ...local)
  const server = ['--server', `localhost:${portOf(registry)}`]
  expect((await bench.run('box', 'register', ...server)).exitCode).toBe(0)
  const [mac] = await bench.people(0)
  const agent = await bench.serve('box', 'agent', ...local, ...server)
  expect(agent.peerId).toBe(peerId)
  expect((await bench.run(mac!.home, 'send', peerId, 'hello', ...server)).stdout).toContain('delivered')

  const rotated = await json<{ peerId: string; running: string; oldWallet: string }>('box', 'rotate')
  expect(rotated.running).toBe(rotated.peerId)
  expect(remembered('box')).toBe(passphrase)
  await json('box', 'revoke', '--wallet', rotated.oldWallet, '--yes') // the old key is opened in the same way
  expect((await bench.run(mac!.home, 'send', rotated.peerId, 'again', ...server)).stdout).toContain('delivered')
  await agent.stop()

  const file = join(bench.folder, 'box.age')
  await json('box', 'backup', file, '--passphrase-env', 'BACKUP_PASSPHRASE')
  await json('twin', 'restore', file, '--passphrase-env', 'BACKUP_PASSPHRASE')
  expect((await bench.run('twin', 'register', ...server)).exitCode).toBe(0)
  await keyring.stop() // as on another machine: there the owner's passphrase opens it
  expect((await bench.run('twin', 'register', ...server, ...named)).exitCode).toBe(0)
})

test('R1: a passphrase moves into the keychain, is changed there, and moves out again', async () => {
  const { peerId } = await json<{ peerId: string }>('mover', 'init', '--name', 'mover', ...named)
  expect(await bench.run('mover', 'passphrase', '--forget', ...named)).toMatchObject({ exitCode: 2 })
  expect(await bench.run('mover', 'passphrase', '--forget', '--keychain')).toMatchObject({ exitCode: 2 })
  expect(await json('mover', 'passphrase', '--keychain', ...named)).toMatchObject({ peerId, isSealed: true, isInKeychain: true })
  expect(remembered('mover')).toBe(passphrase)
  const first = readWalletCard(walletOf('mover'))!.keychain!

  await json('mover', 'passphrase', '--new-passphrase-env', 'OTHER') // it stays where it is remembered
  expect([remembered('mover'), keyring.secretOf(first)]).toEqual([env['OTHER'], ''])
  const second = readWalletCard(walletOf('mover'))!.keychain!
  expect(await json('mover', 'passphrase', '--forget')).toMatchObject({ isSealed: true, isInKeychain: false })
  expect(keyring.secretOf(second)).toBe('')
  expect(await bench.run('mover', 'passphrase', '--remove')).toMatchObject({ exitCode: 4 })
  expect(await json('mover', 'passphrase', '--remove', '--passphrase-env', 'OTHER')).toMatchObject({ peerId, isSealed: false })

  await json('mover', 'passphrase', '--keychain', '--new-passphrase-env', 'OURS') // a wallet that was open
  const third = readWalletCard(walletOf('mover'))!.keychain!
  expect(await json('mover', 'passphrase', '--remove')).toMatchObject({ isSealed: false, isInKeychain: false })
  expect(keyring.secretOf(third)).toBe('')
})

test('R1: a keychain that is locked or not there is told at once, nothing is written, and somebody at the terminal may type instead', async () => {
  const { peerId } = await json<{ peerId: string }>('locked', 'init', '--name', 'locked', '--keychain', ...named)
  keyring.lock()
  const before = readFileSync(walletOf('locked'), 'utf8')
  const timed = async (home: string, ...words: string[]) => {
    const from = performance.now()
    const ran = await bench.run(home, ...words)
    expect(performance.now() - from).toBeLessThan(20_000) // the machine may be busy; a prompt would wait for ever
    return ran
  }
  const told = await timed('locked', 'rotate')
  expect(told).toMatchObject({ stdout: '', stderr: expect.stringContaining('keychain is locked') as string })
  expect(told.exitCode).not.toBe(0)
  expect(await timed('locked', 'agent', ...local)).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('is locked') as string })
  expect(readFileSync(walletOf('locked'), 'utf8')).toBe(before)
  expect(await timed('locked', 'passphrase', '--keychain', ...named)).toMatchObject({ exitCode: 5 })
  expect(readFileSync(walletOf('locked'), 'utf8')).toBe(before)
  expect(await timed('fresh', 'init', '--name', 'fresh', '--keychain', ...named)).toMatchObject({ exitCode: 5, stdout: '' })
  expect(() => readFileSync(walletOf('fresh'))).toThrow(/ENOENT/)

  const home = { HOME: join(bench.folder, 'locked'), PATH: process.env['PATH']!, ...env }
  const asked = await atTerminal([process.execPath, main, 'reach', 'rotate'], home, [['passphrase of locked', passphrase]])
  expect(asked).toMatchObject({ exitCode: 0, shown: expect.stringContaining('keychain is locked') as string })
  expect(asked.shown).toContain(`rotated from  ${peerId}`)

  await keyring.stop()
  for (const name of ['DBUS_SESSION_BUS_ADDRESS', 'XDG_RUNTIME_DIR']) delete env[name]
  expect(await timed('locked', 'register')).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('no keychain') as string })
  expect(await json('locked', 'passphrase', '--remove', ...named)).toMatchObject({ isSealed: false })
})

test('the passphrase stands in no argv while the keychain is told of it', async () => {
  const log = join(bench.folder, 'argv')
  const folder = join(bench.folder, 'spy')
  mkdirSync(folder)
  const spy = join(folder, 'secret-tool')
  writeFileSync(
    spy,
    `#!/bin/sh\necho "$*" >> '${log}'; tr '\\0' '\\n' < /proc/$PPID/cmdline >> '${log}'\nexec /usr/bin/secret-tool "$@"\n`,
    {
      mode: 0o755,
    },
  )
  const child = spawn(process.execPath, [main, 'reach', 'init', '--name', 'spied', '--keychain', ...named], {
    env: { HOME: join(bench.folder, 'spied'), ...env, PATH: `${folder}:${process.env['PATH']}` },
    stdio: 'ignore',
  })
  expect(await once(child, 'close')).toEqual([0, null])
  expect(remembered('spied')).toBe(passphrase)
  const seen = readFileSync(log, 'utf8')
  expect(seen).toContain('store --label=Fairlead_ spied')
  for (const text of [passphrase, Buffer.from(passphrase).toString('base64url')]) expect(seen).not.toContain(text)
})

test('R8, R9: mcp-serve and mcp-connect with wallets whose passphrase the keychain remembers', async () => {
  const ids = []
  for (const home of ['server', 'client'])
    ids.push((await json<{ peerId: string }>(home, 'init', '--name', home, '--keychain', ...named)).peerId)
  const serving = await bench.serve('server', 'mcp-serve', '--authorized-peer', ids[1]!, '--command', echoCommand, ...local)
  const mcp = bench.client('client', ids[0]!, '--address', serving.addresses[0]!)
  await mcp.initialize()
  expect(await mcp.call('echo', { text: 'hello' })).toBe('hello')
})
