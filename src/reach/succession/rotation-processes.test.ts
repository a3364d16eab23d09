// R11 as people meet it: real processes, a home for each, a registry between them or none.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, rmSync } from 'node:fs'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  type Person,
  type ReachBench,
  type Served,
  echoCommand,
  freePort,
  local,
  portOf,
  reachBench,
} from '../../../test/kit/reach-bench.ts'
import { loadWallet } from '../../base/identity/wallet.ts'
import { homeIn } from '../home.ts'
import { rotationIsUnfinished } from './rotation.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

const patience = { timeout: 60_000 } // the machine may be busy
const slow = { timeout: 180_000 }
const folderOf = ({ home }: Person): string => join(bench.folder, home, '.local/state/fairlead/reach')

type Rotated = { readonly peerId: string; readonly rotatedFrom: string; readonly oldWallet: string; readonly running?: string }
async function rotate({ home }: Person, ...words: string[]): Promise<Rotated> {
  const { exitCode, stdout, stderr } = await bench.run(home, 'rotate', '--json', ...words)
  if (exitCode !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as Rotated
}
async function registry(): Promise<{ server: string[]; port: number }> {
  const port = portOf(await bench.serve(`registry-${Math.trunc(performance.now())}`, 'registry', ...local))
  return { server: ['--server', `localhost:${port}`], port }
}
async function register({ home }: Person, server: readonly string[]): Promise<void> {
  expect((await bench.run(home, 'register', ...server)).exitCode).toBe(0)
}
const at = (served: Served): string[] => ['--address', `/ip4/127.0.0.1/tcp/${portOf(served)}`]
/** A port that stays the same when the process goes over to its next identity. */
const fixed = async (): Promise<string[]> => ['--host', '127.0.0.1', '--port', String(await freePort())]

describe('rotate', () => {
  test(
    'whoever knows the old id learns the new one from the registry, and goes on to it only when told so; what runs goes over by itself',
    slow,
    async () => {
      const [box, mac] = await bench.people(1)
      const { server } = await registry()
      await register(box!, server)
      await register(mac!, server)
      const listening = await bench.serve(box!.home, 'listen', ...(await fixed()))
      expect((await bench.run(mac!.home, 'send', box!.peerId, 'one', ...at(listening))).exitCode).toBe(0)
      const { peerId, rotatedFrom, oldWallet, running } = await rotate(box!)
      expect([rotatedFrom, running]).toEqual([box!.peerId, peerId])
      expect((await stat(oldWallet)).mode & 0o777).toBe(0o600)
      expect((await loadWallet(oldWallet)).identity.peerId).toBe(box!.peerId)
      await expect.poll(async () => (await bench.run(mac!.home, 'peers')).stdout, patience).toContain(`/p2p/${peerId}`)
      expect((await bench.run(mac!.home, 'peers')).stdout).not.toContain(box!.peerId)

      const refused = await bench.run(mac!.home, 'send', box!.peerId, 'two')
      expect(refused).toMatchObject({ exitCode: 1, stdout: '' })
      expect(refused.stderr).toContain(`${box!.peerId} is now ${peerId}`)
      expect(refused.stderr).toContain('--follow-rotations')
      const followed = await bench.run(mac!.home, 'send', box!.peerId, 'three', '--follow-rotations')
      expect(followed).toMatchObject({ exitCode: 0, stdout: `delivered to ${peerId}\n` })
      expect(followed.stderr).toContain(`${box!.peerId} is now ${peerId}`)
      expect((await bench.run(mac!.home, 'send', box!.home, 'by name')).stdout).toBe(`delivered to ${peerId}\n`)

      const status = JSON.parse((await bench.run(box!.home, 'status', '--json')).stdout) as Record<string, unknown>
      expect(status).toMatchObject({ peerId, rotatedFrom: box!.peerId })
      expect((await bench.run(box!.home, 'history')).stdout).toMatch(new RegExp(`rotated +${peerId}`))
      expect((await bench.run(box!.home, 'history', '--verify')).exitCode).toBe(0)
      const newer = await rotate(box!)
      await expect
        .poll(async () => (await bench.run(mac!.home, 'send', box!.peerId, 'four', '--follow-rotations')).stdout, patience)
        .toBe(`delivered to ${newer.peerId}\n`)
    },
  )

  test('the one that rotated shows it itself when it is dialled by its old id: no registry', slow, async () => {
    const [box, mac] = await bench.people(1)
    const where = await fixed()
    const serve = ['mcp-serve', '--authorized-peer', mac!.peerId, '--command', echoCommand, ...where]
    const serving = await bench.serve(box!.home, ...serve)
    const mcp = bench.client(mac!.home, box!.peerId, ...at(serving), '--follow-rotations')
    await mcp.initialize()
    expect(await mcp.call('echo', { text: 'before' })).toBe('before')
    const { peerId } = await rotate(box!)
    await expect.poll(() => mcp.call('echo', { text: 'after' }).catch((error: Error) => error.message), patience).toBe('after')
    mcp.process.stdin.end()
    const unasked = await bench.run(mac!.home, 'mcp-connect', box!.peerId, ...at(serving))
    expect(unasked).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringContaining(`is now ${peerId}`) as string })
  })

  test('an authorized peer that rotated is let in by its new key where the owner of the list follows, and nowhere else', slow, async () => {
    const [box, mac, other] = await bench.people(2)
    const list = ['--authorized-peer', mac!.peerId, '--command', echoCommand, ...local]
    const following = await bench.serve(box!.home, 'mcp-serve', '--follow-rotations', ...list)
    const strict = await bench.serve(other!.home, 'mcp-serve', ...list)
    const { peerId } = await rotate(mac!)
    const mcp = bench.client(mac!.home, box!.peerId, ...at(following)) // nobody but itself can tell who it was
    await mcp.initialize()
    expect(await mcp.call('echo', { text: peerId })).toBe(peerId)
    const refused = await bench.run(mac!.home, 'mcp-connect', other!.peerId, ...at(strict))
    expect(refused).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('not authorized') as string })
    // the old key is out: whoever else has it comes in no more
    const thief = join(bench.folder, 'thief')
    const old = readdirSync(folderOf(mac!)).find((name) => name.startsWith('wallet.old-'))!
    await bench.run('thief', 'init', '--name', 'thief')
    await writeFile(join(thief, '.local/state/fairlead/reach/wallet.json'), await readFile(join(folderOf(mac!), old)), { mode: 0o600 })
    const late = await bench.run('thief', 'mcp-connect', box!.peerId, ...at(following))
    expect(late).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('not authorized') as string })
  })

  test('a list that follows learns it from the registry as well, before the peer comes', slow, async () => {
    const [box, mac] = await bench.people(1)
    const { server } = await registry()
    await register(mac!, server)
    await bench.serve(
      box!.home,
      'mcp-serve',
      '--follow-rotations',
      '--authorized-peer',
      mac!.peerId,
      '--command',
      echoCommand,
      ...local,
      ...server,
    )
    const { peerId } = await rotate(mac!)
    await expect.poll(() => readFile(homeIn(folderOf(box!)).statements, 'utf8').catch(() => ''), patience).not.toBe('')
    const mcp = bench.client(mac!.home, box!.peerId, ...server)
    await mcp.initialize()
    expect(await mcp.call('echo', { text: peerId })).toBe(peerId)
  })

  test(
    'what waits in the mailbox of the old key is fetched before that key goes; what comes later waits for the new one',
    slow,
    async () => {
      const [box, mac] = await bench.people(1)
      const { server } = await registry()
      await register(box!, server)
      const send = (text: string, ...more: string[]) => bench.run(mac!.home, 'send', box!.peerId, text, ...server, ...more)
      expect((await send('before')).stdout).toContain('left in the mailbox')
      const { peerId } = await rotate(box!)
      expect((await send('to nobody')).exitCode).toBe(1)
      expect((await send('after', '--follow-rotations')).stdout).toContain(`left in the mailbox of ${box!.peerId} (${peerId})`)
      const inbox = (await bench.run(box!.home, 'inbox')).stdout
      for (const text of ['before', 'after']) expect(inbox).toContain(text)
      expect(inbox).not.toContain('to nobody')
    },
  )

  test('killed at any time, and run again: one new identity, known at the registry', slow, async () => {
    const [box, mac] = await bench.people(1)
    const { server } = await registry()
    await register(box!, server)
    const main = resolve(import.meta.dirname, '../../main.ts')
    for (const afterMs of [250, 450, 700]) {
      const child = spawn(process.execPath, [main, 'reach', 'rotate'], {
        env: { HOME: join(bench.folder, box!.home), PATH: process.env['PATH']! },
        stdio: 'ignore',
      })
      const timer = setTimeout(() => child.kill('SIGKILL'), afterMs) // the moment itself is what varies
      await once(child, 'close')
      clearTimeout(timer)
      await loadWallet(homeIn(folderOf(box!)).wallet)
    }
    const { peerId } = await rotate(box!)
    expect(rotationIsUnfinished(homeIn(folderOf(box!)))).toBe(false)
    const told = await bench.run(mac!.home, 'send', box!.peerId, 'hello', ...server)
    expect(told.stderr).toContain(`${box!.peerId} is now ${peerId}`)
  })

  test('without a registry it says so; with one that does not answer it is done here, and gone on with later', slow, async () => {
    const [box] = await bench.people(1)
    const { stderr } = await bench.run(box!.home, 'rotate')
    expect(stderr).toContain('no registry was used so far')
    const port = await freePort()
    const away = await bench.run(box!.home, 'rotate', '--server', `localhost:${port}`)
    expect(away).toMatchObject({ exitCode: 5, stdout: '' })
    expect(away.stderr).toContain('not known at the registry yet')
    expect((await bench.run(box!.home, 'status')).stdout).toContain('run "fairlead reach rotate" again')
    await bench.serve('late-registry', 'registry', '--host', '127.0.0.1', '--port', String(port))
    const { exitCode, stdout } = await bench.run(box!.home, 'rotate', '--server', `localhost:${port}`)
    expect(exitCode).toBe(0)
    expect(stdout).toContain('rotated from')
    expect((await bench.run(box!.home, 'status')).stdout).not.toContain('again')
  })
})

describe('revoke', () => {
  test(
    'ends the open session of the revoked peer, at a host that knows of it by the registry alone; it comes in no more',
    slow,
    async () => {
      const [box, mac, other] = await bench.people(2)
      const { server } = await registry()
      await register(mac!, server)
      const list = [mac!, other!].flatMap(({ peerId }) => ['--authorized-peer', peerId])
      const serving = await bench.serve(box!.home, 'mcp-serve', ...list, '--command', echoCommand, ...local, ...server)
      const [revoked, innocent] = [
        bench.client(mac!.home, box!.peerId, ...at(serving)),
        bench.client(other!.home, box!.peerId, ...at(serving)),
      ]
      for (const mcp of [revoked, innocent]) await mcp.initialize()
      const unsure = await bench.run(mac!.home, 'revoke')
      expect(unsure).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--yes') as string })
      expect((await bench.run(mac!.home, 'revoke', '--yes', '--reason', 'laptop stolen')).exitCode).toBe(0)
      const from = performance.now()
      const error = async (): Promise<string | undefined> => (await revoked.request('tools/list')).error?.message
      await expect.poll(error, patience).toMatch(/refused: not authorized|not authorized by/)
      console.log(`a revoked peer's session ended ${Math.round(performance.now() - from)} ms after the revocation`)
      expect(await innocent.call('echo', { text: 'still here' })).toBe('still here')
      const again = await bench.run(mac!.home, 'mcp-connect', box!.peerId, ...at(serving))
      expect(again).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('not authorized') as string })
      await serving.stop('SIGKILL') // what was learned is kept
      const next = await bench.serve(
        box!.home,
        'mcp-serve',
        ...list,
        '--command',
        echoCommand,
        ...local,
        '--server',
        `localhost:${await freePort()}`,
      )
      expect((await bench.run(mac!.home, 'mcp-connect', box!.peerId, ...at(next))).exitCode).toBe(4)
      const told = await bench.run(box!.home, 'send', mac!.peerId, 'hello', ...server)
      expect(told).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('laptop stolen') as string })
      expect((await bench.run(mac!.home, 'status')).stdout).toContain('revoked')
      expect((await bench.run(mac!.home, 'register', ...server)).stderr).toContain('was revoked')
      expect((await bench.run(mac!.home, 'history')).stdout).toMatch(new RegExp(`revoked +${mac!.peerId}`))
    },
  )

  test('ends the session of a client whose server is revoked, too; it is final, and can be said once more', slow, async () => {
    const [box, mac] = await bench.people(1)
    const { server } = await registry()
    await register(box!, server)
    await register(mac!, server)
    const serving = await bench.serve(box!.home, 'mcp-serve', '--authorized-peer', mac!.peerId, '--command', echoCommand, ...local)
    const mcp = bench.client(mac!.home, box!.peerId, ...at(serving))
    await mcp.initialize()
    for (let times = 0; times < 2; times++) expect((await bench.run(box!.home, 'revoke', '--yes')).exitCode).toBe(0)
    await expect.poll(async () => (await mcp.request('tools/list')).error?.message, patience).toMatch(/was revoked by its owner/)
  })

  test('of a wallet that was kept aside voids the rotation: lists that follow it let nobody in any more', slow, async () => {
    const [box, mac] = await bench.people(1)
    const { server } = await registry()
    await register(mac!, server)
    const { oldWallet } = await rotate(mac!)
    const list = ['--follow-rotations', '--authorized-peer', mac!.peerId, '--command', echoCommand, ...local, ...server]
    const serving = await bench.serve(box!.home, 'mcp-serve', ...list)
    const mcp = bench.client(mac!.home, box!.peerId, ...at(serving))
    await mcp.initialize()
    expect((await bench.run(mac!.home, 'revoke', '--wallet', oldWallet, '--yes')).exitCode).toBe(0)
    await expect.poll(async () => (await mcp.request('tools/list')).error?.message, patience).toMatch(/not authorized/)
    expect((await bench.run(mac!.home, 'register')).exitCode).toBe(0) // the new key itself is as good as before
  })

  test('that cannot be published is kept, and published by the same command later', slow, async () => {
    const [box] = await bench.people(1)
    const port = await freePort()
    const server = ['--server', `localhost:${port}`]
    const away = await bench.run(box!.home, 'revoke', '--yes', ...server)
    expect(away).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('not published') as string })
    await bench.serve('revocation-registry', 'registry', '--host', '127.0.0.1', '--port', String(port))
    expect((await bench.run(box!.home, 'revoke', ...server)).exitCode).toBe(0) // said before: nobody is asked again
    expect((await bench.run(box!.home, 'history', '--json')).stdout.match(/"revoked"/g)).toHaveLength(1)
  })
})

test(
  'the runbook’s "Rotating Keys": rm wallet.json, init, and tell the others; what runs goes over, what was received stays',
  slow,
  async () => {
    const [box, mac] = await bench.people(1)
    const { server } = await registry()
    const where = await fixed()
    const listening = await bench.serve(box!.home, 'listen', ...where, ...server)
    await register(mac!, server)
    expect((await bench.run(mac!.home, 'send', box!.peerId, 'to the old one', ...at(listening))).exitCode).toBe(0)
    rmSync(homeIn(folderOf(box!)).wallet)
    const { stdout } = await bench.run(box!.home, 'init', '--name', 'NewIdentity', '--json')
    const { peerId } = JSON.parse(stdout) as { peerId: string }
    await expect.poll(async () => (await bench.run(mac!.home, 'send', peerId, 'to the new one')).exitCode, patience).toBe(0)
    expect((await bench.run(mac!.home, 'send', 'NewIdentity', 'by name')).stdout).toBe(`delivered to ${peerId}\n`)
    const old = await bench.run(mac!.home, 'send', box!.peerId, 'to the old one', ...at(listening))
    expect(old).toMatchObject({ exitCode: 4, stderr: expect.stringMatching(/^fairlead: error: Handshake Failed/m) as string })
    const inbox = (await bench.run(box!.home, 'inbox')).stdout
    for (const text of ['to the old one', 'to the new one', 'by name']) expect(inbox).toContain(text)
    const { rotatedFrom } = JSON.parse((await bench.run(box!.home, 'status', '--json')).stdout) as { rotatedFrom?: string }
    expect(rotatedFrom).toBeUndefined() // nobody signed for it
    expect((await rotate(box!)).rotatedFrom).toBe(peerId)
  },
)
