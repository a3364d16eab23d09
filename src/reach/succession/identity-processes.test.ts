// The identity and the registry as a person meets them: real processes, real files, a home for each.
import { chmod, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type ReachBench, local, portOf, reachBench } from '../../../test/kit/reach-bench.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

describe('R1, R2: the identity', () => {
  test('is made once; its wallet is 0600 in a 0700 folder; --force keeps the old one aside; status prints the id whole', async () => {
    const home = 'solo'
    const { peerId } = JSON.parse((await bench.run(home, 'init', '--name', home, '--json')).stdout) as { peerId: string }
    const again = await bench.run(home, 'init', '--name', 'other')
    expect(again).toMatchObject({ exitCode: 1, stdout: '' })
    expect(again.stderr).toContain(peerId)
    const status = JSON.parse((await bench.run(home, 'status', '--json')).stdout) as {
      peerId: string
      name: string
      wallet: string
      folder: string
      reachability: string
    }
    expect(status).toMatchObject({ peerId, name: 'solo', reachability: 'none' })
    expect((await stat(status.wallet)).mode & 0o777).toBe(0o600)
    expect((await stat(status.folder)).mode & 0o777).toBe(0o700)
    const forced: { peerId: string; keptAside: string }[] = []
    for (const name of ['second', 'third'])
      forced.push(
        JSON.parse((await bench.run(home, 'init', '--name', name, '--force', '--json')).stdout) as { peerId: string; keptAside: string },
      )
    expect(await readFile(forced[0]!.keptAside, 'utf8')).toContain(peerId)
    expect(await readFile(forced[1]!.keptAside, 'utf8')).toContain(forced[0]!.peerId)
    expect((await bench.run(home, 'status')).stdout).toContain(forced[1]!.peerId)
    expect((await readdir(status.folder)).filter((name) => name.endsWith('.old'))).toEqual([])
  })

  test('may be sealed; then the passphrase comes from a file, and status needs none', async () => {
    const secret = join(bench.folder, 'passphrase')
    await writeFile(secret, 'correct horse\n', { mode: 0o644 })
    const loose = await bench.run('sealed', 'init', '--name', 'sealed', '--passphrase-file', secret)
    expect(loose).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('chmod 600') as string })
    await chmod(secret, 0o600)
    const { stdout } = await bench.run('sealed', 'init', '--name', 'sealed', '--passphrase-file', secret, '--json')
    const { peerId, wallet } = JSON.parse(stdout) as { peerId: string; wallet: string }
    expect(await readFile(wallet, 'utf8')).toContain('scrypt')
    expect((await bench.run('sealed', 'status')).stdout).toContain(peerId)
    expect(await bench.run('sealed', 'register')).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('passphrase') as string })
  })
})

test('R3, R4: registered is who registered, by processes, across a SIGKILL of the registry; peers lists whole ids', async () => {
  const [box, mac] = await bench.people(1)
  const registry = await bench.serve('registry', 'registry', ...local)
  const port = portOf(registry)
  const server = ['--server', `localhost:${port}`]
  expect((await bench.run(box!.home, 'register', ...server)).exitCode).toBe(0)
  await registry.stop('SIGKILL')
  const second = await bench.serve('registry', 'registry', '--host', '127.0.0.1', '--port', String(port))
  expect(second.peerId).toBe(registry.peerId)
  expect((await bench.run(mac!.home, 'register', ...server)).exitCode).toBe(0)
  const { stdout } = await bench.run(mac!.home, 'peers')
  expect(stdout).toContain(box!.peerId)
  expect(stdout).toContain(mac!.peerId)
  expect(await second.stop()).toBe(0)
  expect(await bench.run(mac!.home, 'register')).toMatchObject({
    exitCode: 5,
    stderr: expect.stringContaining(`localhost:${port}`) as string,
  })
})
