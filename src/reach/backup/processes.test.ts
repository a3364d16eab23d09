// Keys and backups as a person meets them: real processes, a real terminal, Debian's age, tar and ssh-agent.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Typed, atTerminal } from '../../../test/kit/at-terminal.ts'
import { type ReachBench, echoCommand, freePort, local, portOf, reachBench } from '../../../test/kit/reach-bench.ts'
import { startAgent } from '../../../test/kit/ssh-agent.ts'

vi.setConfig({ testTimeout: 180_000 }) // many processes, each with a second of scrypt

const main = resolve(import.meta.dirname, '../../main.ts')
const env: Record<string, string> = { BACKUP_PASSPHRASE: 'backup-Marker-91' }
const sealed = ['--passphrase-env', 'BACKUP_PASSPHRASE']
let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench(env)
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

const folderOf = (home: string): string => join(bench.folder, home, '.local/state/fairlead/reach')
const json = async <T>(home: string, ...words: string[]): Promise<T> => {
  const { exitCode, stdout, stderr } = await bench.run(home, ...words, '--json')
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  return JSON.parse(stdout) as T
}
const idOf = async (home: string): Promise<string> => (await json<{ peerId: string }>(home, 'status')).peerId
const inboxOf = async (home: string): Promise<string[]> =>
  (await json<{ messages: { text: string }[] }>(home, 'inbox')).messages.map(({ text }) => text)
const typed = (home: string, words: string[], answers: [string, string][], whileAsked?: () => void): Promise<Typed> => {
  mkdirSync(join(bench.folder, home), { recursive: true })
  return atTerminal(
    [process.execPath, main, 'reach', ...words],
    { HOME: join(bench.folder, home), PATH: process.env['PATH']!, ...env },
    answers,
    whileAsked,
  )
}

describe('R12: an identity', () => {
  test('is backed up while its daemon runs, and on another machine is the same: id, trusted keys, messages, history', async () => {
    const [box, mac] = await bench.people(1)
    const agent = await bench.serve(box!.home, 'agent', ...local)
    const to = [box!.peerId, '--address', agent.addresses[0]!]
    expect((await bench.run(mac!.home, 'send', to[0]!, 'first', ...to.slice(1))).exitCode).toBe(0)
    writeFileSync(join(folderOf(box!.home), 'registries.json'), '{"keys":{"localhost:1":"12D3KooWTrusted"}}')
    const file = join(bench.folder, 'box.age')
    const made = await json<{ files: number }>(box!.home, 'backup', file, ...sealed)
    expect(made.files).toBeGreaterThanOrEqual(5)
    expect(readFileSync(file, 'latin1')).not.toMatch(/wallet|seed|first/)
    expect(await bench.run(box!.home, 'backup', file, ...sealed)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('--force') as string,
    })
    const running = await bench.run(box!.home, 'restore', file, '--force', ...sealed)
    expect(running).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('stop it first') as string })
    await agent.stop()

    const fresh = `fresh-${box!.home}`
    const listed = await json<{ peerId: string; files: { name: string }[] }>(fresh, 'restore', file, '--list', ...sealed)
    expect(listed.peerId).toBe(box!.peerId)
    expect(listed.files.map(({ name }) => name)).toContain('blockchain.json')
    expect(existsSync(join(folderOf(fresh), 'wallet.json'))).toBe(false)
    await json(fresh, 'restore', file, ...sealed)
    expect(await idOf(fresh)).toBe(box!.peerId)
    expect(await inboxOf(fresh)).toEqual(['first'])
    expect(readFileSync(join(folderOf(fresh), 'registries.json'), 'utf8')).toContain('12D3KooWTrusted')
    expect((await bench.run(fresh, 'history', '--verify')).exitCode).toBe(0)
    rmSync(join(folderOf(fresh), 'registries.json'))
    const again = await bench.serve(fresh, 'agent', ...local)
    expect((await bench.run(mac!.home, 'send', box!.peerId, 'second', '--address', again.addresses[0]!)).exitCode).toBe(0)
    expect(await inboxOf(fresh)).toEqual(['first', 'second'])
    expect((await bench.run(fresh, 'history', '--verify')).exitCode).toBe(0)
  })

  test('is never replaced unasked; with --force the old one is kept; a wrong passphrase or a changed file replaces nothing', async () => {
    const [box, mac] = await bench.people(1)
    const file = join(bench.folder, `${box!.home}.age`)
    await json(box!.home, 'backup', file, ...sealed)
    expect(await bench.run(mac!.home, 'restore', file, ...sealed)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining(mac!.peerId) as string,
    })
    env['BACKUP_PASSPHRASE'] = 'another'
    expect((await bench.run(mac!.home, 'restore', file, '--force', ...sealed)).exitCode).toBe(4)
    env['BACKUP_PASSPHRASE'] = 'backup-Marker-91'
    const bytes = readFileSync(file)
    for (const changed of [bytes.subarray(0, -5), Buffer.from(bytes.map((byte, i) => (i === bytes.length - 600 ? byte ^ 1 : byte)))]) {
      writeFileSync(`${file}.changed`, changed)
      expect(await bench.run(mac!.home, 'restore', `${file}.changed`, '--force', ...sealed)).toMatchObject({ exitCode: 1, stdout: '' })
    }
    expect(await idOf(mac!.home)).toBe(mac!.peerId)
    const { keptAside } = await json<{ keptAside: string }>(mac!.home, 'restore', file, '--force', ...sealed)
    expect(await idOf(mac!.home)).toBe(box!.peerId)
    expect(readFileSync(join(keptAside, 'wallet.json'), 'utf8')).toContain(mac!.peerId)
  })

  test('sealed for an age key, the backup is opened by Debian’s age and tar, and by its key only', async () => {
    const [box] = await bench.people(0)
    const key = join(bench.folder, 'key.txt')
    execFileSync('age-keygen', ['-o', key], { stdio: 'pipe' })
    const recipient = execFileSync('age-keygen', ['-y', key], { encoding: 'utf8' }).trim()
    const file = join(bench.folder, 'recipient.age')
    await json(box!.home, 'backup', file, '--recipient', recipient)
    const archive = execFileSync('age', ['-d', '-i', key, file])
    const names = execFileSync('tar', ['tf', '-'], { input: archive, encoding: 'utf8' }).trim().split('\n')
    expect(names).toEqual(['fairlead-backup.json', 'wallet.json'])
    expect(execFileSync('tar', ['xOf', '-', 'wallet.json'], { input: archive })).toEqual(
      readFileSync(join(folderOf(box!.home), 'wallet.json')),
    )
    expect(await bench.run('keyless', 'restore', file)).toMatchObject({
      exitCode: 4,
      stderr: expect.stringContaining('--age-key') as string,
    })
    await json('keyed', 'restore', file, '--age-key', key)
    expect(await idOf('keyed')).toBe(box!.peerId)
    const misused = await bench.run(
      box!.home,
      'backup',
      `${file}.x`,
      '--recipient',
      /AGE-SECRET-KEY-1\w+/.exec(readFileSync(key, 'utf8'))![0],
    )
    expect(misused.exitCode).toBe(2)
    expect(misused.stderr).not.toContain('AGE-SECRET-KEY-1')
  })

  test('is whole after a restore that was killed at any moment', async () => {
    const [box, mac] = await bench.people(1)
    const file = join(bench.folder, `${box!.home}.age`)
    const key = join(bench.folder, 'kill-key.txt')
    execFileSync('age-keygen', ['-o', key], { stdio: 'pipe' })
    const inbox = join(folderOf(box!.home), 'inbox')
    mkdirSync(inbox)
    for (let i = 0; i < 200; i++) writeFileSync(join(inbox, `${String(i).padStart(15, '0')}.json`), '{}')
    await json(box!.home, 'backup', file, '--recipient', execFileSync('age-keygen', ['-y', key], { encoding: 'utf8' }).trim())
    const folder = folderOf(mac!.home)
    for (const until of ['.restoring', '.restoring/staged/inbox', '.restore', '.restore/moving', 'inbox']) {
      const HOME = join(bench.folder, mac!.home)
      const child = spawn(process.execPath, [main, 'reach', 'restore', file, '--force', '--age-key', key], {
        env: { HOME, PATH: process.env['PATH']! },
      })
      const ended = once(child, 'close')
      while (child.exitCode === null && !existsSync(join(folder, until))) await new Promise((next) => setImmediate(next))
      child.kill('SIGKILL')
      await ended
      const id = await idOf(mac!.home)
      expect([box!.peerId, mac!.peerId]).toContain(id)
      expect(existsSync(join(folder, 'inbox')) ? readdirSync(join(folder, 'inbox')).length : 0).toBe(id === box!.peerId ? 200 : 0)
      expect(existsSync(join(folder, '.restore'))).toBe(false)
      await json(mac!.home, 'restore', file, '--force', '--age-key', key)
      expect(await idOf(mac!.home)).toBe(box!.peerId)
      const before = readdirSync(folder)
        .filter((name) => name.startsWith('before-'))
        .sort()
      const kept = before.find((name) => readFileSync(join(folder, name, 'wallet.json'), 'utf8').includes(mac!.peerId))!
      rmSync(join(folder, 'inbox'), { recursive: true })
      copyFileSync(join(folder, kept, 'wallet.json'), join(folder, 'wallet.json'))
      for (const name of before) rmSync(join(folder, name), { recursive: true })
    }
  })

  test('is back with its plain wallet.json; and beside the old things a new one works', async () => {
    const [box, mac] = await bench.people(1)
    const wallet = join(folderOf(box!.home), 'wallet.json')
    const copy = join(bench.folder, 'copy.json')
    copyFileSync(wallet, copy)
    const agent = await bench.serve(box!.home, 'agent', ...local)
    expect((await bench.run(mac!.home, 'send', box!.peerId, 'to the old one', '--address', agent.addresses[0]!)).exitCode).toBe(0)
    await agent.stop()
    writeFileSync(join(folderOf(box!.home), 'inbox', '000000000000001.json'), 'sealed to another key')
    rmSync(wallet)
    expect(await bench.run(box!.home, 'status')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('init') as string })

    const { peerId } = await json<{ peerId: string }>(box!.home, 'init', '--name', 'new')
    expect(peerId).not.toBe(box!.peerId)
    const renewed = await bench.serve(box!.home, 'agent', ...local)
    expect(renewed.peerId).toBe(peerId)
    const old = await bench.run(mac!.home, 'send', box!.peerId, 'lost', '--address', renewed.addresses[0]!.replace(/\/p2p\/.*/, ''))
    expect(old.exitCode).not.toBe(0)
    expect((await bench.run(mac!.home, 'send', peerId, 'to the new one', '--address', renewed.addresses[0]!)).exitCode).toBe(0)
    const inbox = await bench.run(box!.home, 'inbox')
    expect(inbox.stdout).toContain('to the old one')
    expect(inbox.stdout).toContain('to the new one')
    expect(inbox.stderr).toContain('000000000000001.json')
    expect((await bench.run(box!.home, 'history', '--verify')).exitCode).toBe(0)
    await renewed.stop()

    copyFileSync(copy, wallet)
    chmodSync(wallet, 0o644)
    expect(await bench.run(box!.home, 'status')).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('chmod 600') as string })
    chmodSync(wallet, 0o600)
    const back = await bench.serve(box!.home, 'agent', ...local)
    expect(back.peerId).toBe(box!.peerId)
    expect((await bench.run(mac!.home, 'send', box!.peerId, 'welcome back', '--address', back.addresses[0]!)).exitCode).toBe(0)
  })
})

describe('R1: a passphrase', () => {
  const secret = 'wallet-Marker-73'
  const next = 'other-Marker-58'

  test('is typed, never shown, and found nowhere; it can be changed and removed, and the identity stays', async () => {
    const said: string[] = []
    const commandLines: string[] = []
    const look = (): void => {
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        try {
          const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
          if (line.includes('main.ts')) commandLines.push(line)
        } catch {
          continue // it has ended
        }
      }
    }
    const ask = async (words: string[], answers: [string, string][]): Promise<Typed> => {
      const answer = await typed('person', words, answers, look)
      said.push(answer.shown)
      return answer
    }
    const [first, again] = ['(not shown):', 'once more (not shown):']
    expect(
      (
        await ask(
          ['init', '--name', 'person', '--passphrase'],
          [
            [first, secret],
            [again, 'differs'],
          ],
        )
      ).shown,
    ).toContain('differ')
    expect(existsSync(folderOf('person')) && readdirSync(folderOf('person')).includes('wallet.json')).toBe(false)
    expect(
      (
        await ask(
          ['init', '--name', 'person', '--passphrase'],
          [
            [first, secret],
            [again, secret],
          ],
        )
      ).exitCode,
    ).toBe(0)
    const peerId = await idOf('person')

    const port = String(await freePort())
    const registry = await bench.serve('registry', 'registry', '--host', '127.0.0.1', '--port', port)
    const register = ['register', '--server', `localhost:${portOf(registry)}`]
    env['FAIRLEAD_LOG'] = 'debug'
    expect((await ask([...register, '--json'], [[first, secret]])).exitCode).toBe(0)
    expect(await ask(register, [[first, 'wrong-Marker-99']])).toMatchObject({
      exitCode: 4,
      shown: expect.stringContaining('does not open') as string,
    })
    expect(await ask(register, [[first, '\x03']])).toMatchObject({
      exitCode: 2,
      shown: expect.stringContaining('no passphrase was typed') as string,
    })
    const silent = await bench.run('person', ...register)
    expect(silent).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('--passphrase-file') as string })

    expect(
      (
        await ask(
          ['passphrase'],
          [
            [first, secret],
            [first, next],
            [again, next],
          ],
        )
      ).exitCode,
    ).toBe(0)
    expect((await ask(register, [[first, secret]])).exitCode).toBe(4)
    env['WALLET_PASSPHRASE'] = next
    expect((await bench.run('person', ...register, '--passphrase-env', 'WALLET_PASSPHRASE')).exitCode).toBe(0)
    expect(
      (
        await ask(
          ['backup', join(bench.folder, 'typed.age')],
          [
            [first, secret],
            [again, secret],
          ],
        )
      ).exitCode,
    ).toBe(0)
    expect((await ask(['restore', join(bench.folder, 'typed.age'), '--list'], [[first, secret]])).shown).toContain(peerId)
    const removed = await bench.run('person', 'passphrase', '--remove', '--passphrase-env', 'WALLET_PASSPHRASE', '--json')
    expect(JSON.parse(removed.stdout)).toMatchObject({ peerId, isSealed: false })
    delete env['FAIRLEAD_LOG']
    delete env['WALLET_PASSPHRASE']
    expect((await bench.run('person', ...register)).exitCode).toBe(0)
    expect(await idOf('person')).toBe(peerId)

    const { seed } = (JSON.parse(readFileSync(join(folderOf('person'), 'wallet.json'), 'utf8')) as { key: { seed: string } }).key
    expect(commandLines.length).toBeGreaterThan(3)
    const everything = [...said, silent.stderr, removed.stdout, removed.stderr, ...commandLines].join('\n')
    for (const marker of ['Marker-', seed, Buffer.from(seed, 'base64url').toString('hex')]) expect(everything).not.toContain(marker)
    expect(execFileSync('sh', ['-c', `grep -rl 'Marker-' '${join(bench.folder, 'person')}' || true`], { encoding: 'utf8' })).toBe('')
  })

  test('killed while it is changed leaves a wallet that one of the two opens', async () => {
    const [box] = await bench.people(0)
    const wallet = join(folderOf(box!.home), 'wallet.json')
    env['OLD'] = secret
    env['NEW'] = next
    const base = ['reach', 'passphrase', '--passphrase-env', 'OLD', '--new-passphrase-env', 'NEW']
    expect((await bench.run(box!.home, 'passphrase', '--new-passphrase-env', 'OLD')).exitCode).toBe(0)
    for (const delayMs of [300, 600, 900, 1_200]) {
      const child = spawn(process.execPath, [main, ...base], {
        env: { ...env, HOME: join(bench.folder, box!.home), PATH: process.env['PATH']! },
      })
      setTimeout(() => child.kill('SIGKILL'), delayMs) // wherever that is
      await once(child, 'close')
      expect(await idOf(box!.home)).toBe(box!.peerId)
      const outcomes = [await bench.run(box!.home, 'passphrase', '--passphrase-env', 'OLD', '--new-passphrase-env', 'OLD')]
      if (outcomes[0]!.exitCode !== 0)
        outcomes.push(await bench.run(box!.home, 'passphrase', '--passphrase-env', 'NEW', '--new-passphrase-env', 'OLD'))
      expect(outcomes.at(-1)!.exitCode, outcomes.at(-1)!.stderr).toBe(0)
    }
    expect(JSON.parse(readFileSync(wallet, 'utf8'))).toMatchObject({ key: { seal: 'scrypt+aes-256-gcm' } })
  })
})

test('R1: a key that stays in ssh-agent registers, sends, receives and carries MCP; without the agent, or the key in it, that is told', async () => {
  const [box] = await bench.people(0)
  const keys = join(bench.folder, 'keys')
  mkdirSync(keys)
  const agent = await startAgent(keys)
  bench.undo(() => agent.stop())
  const file = agent.add('fairlead')
  env['SSH_AUTH_SOCK'] = agent.socket
  bench.undo(() => delete env['SSH_AUTH_SOCK'])
  const { peerId } = await json<{ peerId: string }>('keyless-mac', 'init', '--name', 'keyless', '--ssh-agent', 'fairlead')
  const home = folderOf('keyless-mac')
  expect(JSON.parse(readFileSync(join(home, 'wallet.json'), 'utf8'))).toEqual({
    wallet: 1,
    name: 'keyless',
    peerId,
    key: { seal: 'ssh-agent' },
  })
  const registry = await bench.serve('registry', 'registry', ...local)
  const server = ['--server', `localhost:${portOf(registry)}`]
  expect((await bench.run('keyless-mac', 'register', ...server)).exitCode).toBe(0)
  expect((await bench.run(box!.home, 'peers', ...server)).stdout).toContain(peerId)

  const served = await bench.serve(box!.home, 'mcp-serve', '--authorized-peer', peerId, '--command', echoCommand, ...local, ...server)
  expect((await bench.run('keyless-mac', 'send', box!.peerId, 'signed elsewhere', '--address', served.addresses[0]!)).exitCode).toBe(0)
  expect(await inboxOf(box!.home)).toEqual(['signed elsewhere'])
  const client = bench.client('keyless-mac', box!.peerId, '--address', served.addresses[0]!)
  expect(await client.request('tools/call', { name: 'echo', arguments: {} })).toMatchObject({ result: {} })
  client.process.stdin.end()
  expect(await client.ended).toBe(0)
  const host = await bench.serve('keyless-mac', 'agent', ...local, ...server)
  expect((await bench.run(box!.home, 'send', peerId, 'receipt, please', '--address', host.addresses[0]!)).exitCode).toBe(0)
  await host.stop()

  const { hasKey } = await json<{ hasKey: boolean }>('keyless-mac', 'backup', join(bench.folder, 'keyless.age'), ...sealed)
  expect(hasKey).toBe(false)
  expect(await bench.run('keyless-mac', 'passphrase')).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('cannot leave') as string,
  })
  agent.empty()
  agent.add('another')
  const wrong = await bench.run('keyless-mac', 'register', ...server)
  expect(wrong).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('ssh-add') as string })
  agent.addFile(file)
  expect((await bench.run('keyless-mac', 'register', ...server)).exitCode).toBe(0)
  await agent.stop()
  expect(await bench.run('keyless-mac', 'register', ...server)).toMatchObject({
    exitCode: 5,
    stderr: expect.stringContaining('ssh-agent does not answer') as string,
  })
  expect((await bench.run('keyless-mac', 'status')).stdout).toContain(peerId)
})
