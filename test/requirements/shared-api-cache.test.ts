// Plays docs/runbooks/shared-api-cache.md on machines with systemd, and says which requirements of the runbook no step has proved.
import { expect } from 'vitest'
import { type Crew, createCrew, obstacle } from '../script/crew.ts'
import type { Acts, Scene } from '../script/play.ts'
import { playPage } from './play-page.ts'
import { sharedApiCache } from './shared-api-cache.ts'

/** Calls that have reached the API, in order: its own lines. */
const callsAt = ({ window }: Scene): string[] =>
  window('api')
    .output()
    .match(/^(?:GET|POST) \S+/gm) ?? []
const members = ['one', 'two', 'three', 'four', 'five']
let counted = 0

async function must({ stage }: Scene, host: string, script: string): Promise<string> {
  const { exitCode, output } = await stage.hosts.get(host)!.run(script)
  if (exitCode !== 0) throw new Error(`${script}: exit code ${exitCode}:\n${output}`)
  return output
}

const acts: Acts = {
  async 'everybody believes the API'(scene) {
    const { exec } = (scene.stage as Crew).nodes
    const { stdout: authority } = await exec('github', ['cat', '/run/github/ca.pem'])
    for (const host of ['server', 'runner']) {
      await exec(host, ['sh', '-c', 'cat >>/etc/ssl/certs/ca-certificates.crt'], { input: authority })
      scene.stage.hosts.get(host)!.write('~/ca.pem', authority)
    }
  },
  async 'the secrets are set'({ stage, values }) {
    const runner = stage.hosts.get('runner')!
    const secret = stage.hosts.get('server')!.read('~/group-secret')
    runner.write('~/group-secret', secret)
    const set = {
      SECRET_MCP_P2P_BOOTSTRAP_PEERS: `/ip4/${values.get('PUBLIC_IP')}/tcp/9100/p2p/${values.get('PEER_ID')}`,
      SECRET_CACHE_P2P_SHARED_SECRET: secret.trim(),
      GITHUB_REPOSITORY: 'endomorphosis/ipfs_accelerate_py',
      NODE_EXTRA_CA_CERTS: '/home/user/ca.pem', // the API's authority is known on that machine
    }
    runner.write('~/secrets', Object.entries(set).map(([name, value]) => `export ${name}=${value}\n`).join('')) // prettier-ignore
  },
  async 'each call was made once by the workflows'(scene) {
    const calls = callsAt(scene).filter((call) => call.includes('/endomorphosis/ipfs_accelerate_py'))
    const asked = [...new Set(calls)]
    expect(asked.length).toBeGreaterThan(1)
    // the job of before asked, the one that had no secret asked for itself, and then, if its time was over, one for all three
    for (const one of asked) expect({ one, times: calls.filter((call) => call === one).length <= 3 }).toEqual({ one, times: true })
    for (const name of ['amd64', 'arm64', 'multiarch']) expect(scene.window(name).output()).toMatch(/^needed a call +[01]$/m)
    const needed = ['amd64', 'arm64', 'multiarch'].map((name) => Number(/^needed a call +(\d+)$/m.exec(scene.window(name).output())![1]))
    expect(needed.reduce((sum, each) => sum + each)).toBeLessThanOrEqual(asked.length)
  },
  async 'no secret was told'(scene) {
    const secret = scene.stage.hosts.get('server')!.read('~/group-secret').trim()
    const first = scene.stage.hosts.get('runner')!.read('~/jobs/first.log')
    const journal = await must(scene, 'server', 'sudo journalctl -u ipfs-accelerate-mcp --no-pager')
    const arguments_ = await must(scene, 'server', "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    const all = [first, journal, arguments_, ...['amd64', 'arm64', 'multiarch'].map((name) => scene.window(name).output())].join('\n')
    for (const hidden of [secret, 'token-of-']) expect(all).not.toContain(hidden)
  },
  async count(scene) {
    counted = callsAt(scene).length
  },
  async 'five hundred calls were made'(scene) {
    await expect.poll(() => callsAt(scene).length - counted, { timeout: 10_000 }).toBe(500)
  },
  async 'all five are members'({ window }) {
    for (const name of members) await expect.poll(() => window(name).output(), { timeout: 60_000 }).toContain('✓ P2P cache initialized')
  },
  async 'a hundred calls were made'(scene) {
    await expect.poll(() => callsAt(scene).length - counted, { timeout: 10_000 }).toBe(100)
  },
  async 'the saving is told'(scene) {
    // members tell the host what they have counted every few seconds
    const script = 'at-host ~/.local/bin/node ~/saved.mjs'
    const saved = async (): Promise<number> => Number(/^API calls saved: (\d+)$/m.exec(await must(scene, 'server', script))![1])
    await expect.poll(saved, { timeout: 15_000, interval: 500 }).toBeGreaterThanOrEqual(400)
  },
}

playPage({
  file: 'shared-api-cache.md',
  hosts: ['server', 'runner', 'github'],
  tools: ['curl', 'openssl', 'nc', 'tcpdump', 'ufw', 'firewall-cmd', 'gh', 'ss'],
  place: { obstacle, create: createCrew },
  acts,
  requirements: sharedApiCache,
})
