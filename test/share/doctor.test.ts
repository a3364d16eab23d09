// The doctor against real hosts and runners: each trouble of the runbook is found, with what to do, and nothing is found where all is well.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { expect, test } from 'vitest'
import { createIdentity } from '../../src/base/identity/identity.ts'
import { removeFolder } from '../../src/kernel/file.ts'
import { later } from '../kit/cleanup.ts'
import { main } from '../kit/program.ts'

type Finding = { readonly name: string; readonly verdict: string; readonly evidence: string; readonly remedy?: string }
type Env = Readonly<Record<string, string>>

const secret = 'a secret that is long enough'

async function homeFor(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'dr-'))
  later(() => removeFolder(home))
  return home
}

function environment(home: string, env: Env): Env {
  return { PATH: process.env['PATH']!, HOME: home, FAIRLEAD_HOME: home, ...env }
}

/** The first thing that it prints on stdout, and the process, which ends with the test. */
async function start(home: string, args: readonly string[], env: Env): Promise<{ text: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [main, 'share', ...args, '--json'], {
    env: environment(home, env),
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  later(() => stop(child))
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  await expect.poll(() => text, { timeout: 20_000 }).toContain('\n}')
  return { text, child }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.kill()
  await exit
}

async function doctor(home: string, env: Env): Promise<{ code: number; bad: Record<string, string>; good: string[] }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'share', 'doctor', '--json'], { env: environment(home, env) }, (error, stdout) => {
      const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] }
      const of = (verdict: string) => findings.filter((finding) => finding.verdict === verdict)
      resolve({
        code: error ? Number(error.code) : 0,
        bad: Object.fromEntries(of('bad').map(({ name, evidence, remedy }) => [name, `${evidence} → ${remedy}`])),
        good: of('good').map(({ name }) => name),
      })
    })
  })
}

test('each trouble is found, and nothing where all is well', { timeout: 60_000 }, async () => {
  const [hostHome, home] = [await homeFor(), await homeFor()]
  const known = { CACHE_P2P_SHARED_SECRET: secret, IPFS_ACCELERATE_GITHUB_REPO: 'o/r' }
  const host = await start(hostHome, ['host', '--port', '0', '--shared-scope', 'ci'], known)
  const { addresses } = JSON.parse(host.text) as { addresses: readonly string[] }
  const address = addresses.find((each) => each.startsWith('/ip4/127.'))!
  const runner = { ...known, MCP_P2P_BOOTSTRAP_PEERS: address }

  const [own, before, ofJob] = await Promise.all([
    doctor(hostHome, known),
    doctor(home, { IPFS_ACCELERATE_GITHUB_REPO: 'o/r' }),
    doctor(await homeFor(), { ...runner, CACHE_P2P_SHARED_SECRET: '', GH_TOKEN: `ghs_${'x'.repeat(36)}` }),
  ])
  expect(own).toMatchObject({ code: 0, bad: {} })
  expect(before.code).toBe(3)
  expect(before.bad['secret']).toContain('openssl rand -hex 32')
  expect(before.bad['bootstrap-peers']).toMatch(/^No bootstrap peers configured.* → on the host: fairlead share address --public-ip IP/)
  expect(before.bad['running']).toContain('systemctl status ipfs-accelerate-mcp')
  expect(ofJob.bad['secret']).toContain('no other job has it')
  expect(JSON.stringify(ofJob)).not.toContain('xxxx')

  const proxy = await start(home, ['proxy', '--shared-scope', 'ci'], runner)
  const [well, otherSecret, otherId] = await Promise.all([
    doctor(home, runner),
    doctor(home, { ...runner, CACHE_P2P_SHARED_SECRET: 'another secret' }),
    doctor(home, { ...runner, MCP_P2P_BOOTSTRAP_PEERS: address.replace(/[^/]+$/, createIdentity().peerId) }),
  ])
  expect(well).toMatchObject({ code: 0, bad: {} })
  expect(well.good).toEqual(
    expect.arrayContaining(['secret', 'running', 'port-open', 'host-answers', 'key-match', 'clock', 'cache-keys', 'joined']),
  )
  expect(Object.keys(otherSecret.bad)).toEqual(['key-match'])
  expect(otherSecret.bad['key-match']).toMatch(/it has another secret.* → set CACHE_P2P_SHARED_SECRET/)
  expect(Object.keys(otherId.bad)).toEqual(['host-answers'])
  await stop(proxy.child)

  await start(home, ['proxy'], runner)
  expect(Object.keys((await doctor(home, runner)).bad)).toEqual(['cache-keys'])
  await stop(host.child)
  const gone = await doctor(home, runner)
  expect(gone.bad['port-open']).toMatch(/refused.* → on the host: systemctl status ipfs-accelerate-mcp/)
  expect(Object.keys(gone.bad)).toEqual(['port-open', 'joined'])
})
