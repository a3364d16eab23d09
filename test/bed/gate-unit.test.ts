// The gate as a unit of systemd: it serves within what the unit lets it, is bounded with all that its servers start, and leaves nothing when it is stopped.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Nodes, createNodes, obstacle } from './nodes.ts'

const missing = obstacle()
const repository = resolve(import.meta.dirname, '../..')
const unit = 'deployment/systemd/fairlead-gate.service'
const token = 'token-of-the-test'
let nodes: Nodes

beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
beforeAll(async () => {
  if (missing === undefined) nodes = await createNodes(['gate'], { mounts: [`${repository}:/opt/fairlead:ro`] })
}, 90_000)
afterAll(() => nodes?.close(), 60_000)

async function root(script: string, input?: string): Promise<string> {
  const { code, stdout, stderr } = await nodes.exec('gate', ['sh', '-ec', script], {
    ...(input === undefined ? {} : { input }),
    timeoutMs: 60_000,
  })
  if (code !== 0) throw new Error(`exit code ${code}: ${stdout}${stderr}`)
  return stdout.trim()
}

const config = `[gate]
listen = "127.0.0.1:8001"
[gate.upstreams.machine]
command = ["/usr/local/bin/fairlead", "operate", "server", "--stdio"]
[gate.principals.tester]
token_sha256 = "${createHash('sha256').update(token).digest('hex')}"
[[gate.rules]]
principals = ["tester"]
upstreams = ["machine"]
tools = ["*"]
`

test('it serves within what it may, restarts when it is killed, and nothing of it is left when it is stopped', async () => {
  await root(
    'ln -s /opt/fairlead/bin/fairlead /usr/local/bin/fairlead; adduser --system --group --home /var/lib/fairlead --quiet fairlead; mkdir -p /etc/fairlead',
  )
  await root(
    'cat >/etc/fairlead/fairlead.toml; chown root:fairlead /etc/fairlead/fairlead.toml; chmod 640 /etc/fairlead/fairlead.toml',
    config,
  )
  await root(
    'cat >/etc/systemd/system/fairlead-gate.service; systemctl daemon-reload; systemctl start fairlead-gate',
    readFileSync(resolve(repository, unit), 'utf8'),
  )
  const live = () =>
    root('python3 -c "import urllib.request as r; print(r.urlopen(\'http://127.0.0.1:8001/livez\').status)"').catch(
      (error: Error) => error.message,
    )
  await expect.poll(live, { timeout: 30_000, interval: 250 }).toBe('200')
  const call = {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
  }
  const ask = `python3 -c "
import sys, urllib.request as r
a = r.urlopen(r.Request('http://127.0.0.1:8001/mcp/machine', sys.stdin.buffer.read(), {'content-type': 'application/json', 'accept': 'application/json, text/event-stream', 'authorization': 'Bearer ${token}'}))
print(a.read().decode())"`
  expect(await root(ask, JSON.stringify(call))).toContain('"protocolVersion":"2025-11-25"')
  const shown = await root('systemctl show fairlead-gate -p TasksMax -p KillMode -p NoNewPrivileges -p User -p ProtectSystem')
  expect(shown.split('\n').sort()).toEqual([
    'KillMode=control-group',
    'NoNewPrivileges=yes',
    'ProtectSystem=strict',
    'TasksMax=1024',
    'User=fairlead',
  ])
  const pid = await root('systemctl show -P MainPID fairlead-gate')
  expect(await root(`grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/${pid}/status | tr '\\t' ' '`)).toBe(
    'CapEff: 0000000000000000\nNoNewPrivs: 1\nSeccomp: 2',
  )
  await root(`kill -9 ${pid}`)
  await expect.poll(live, { timeout: 30_000, interval: 250 }).toBe('200')
  expect(await root('systemctl show -P MainPID fairlead-gate')).not.toBe(pid)
  await root('systemctl stop fairlead-gate')
  expect(await root('pgrep -u fairlead -l || true')).toBe('')
}, 120_000)

test('systemd finds nothing to complain of, and calls its exposure OK', () => {
  const said = execFileSync('systemd-analyze', ['security', '--offline=true', '--no-pager', resolve(repository, unit)], {
    encoding: 'utf8',
  })
  const [, exposure, word] = /exposure level for \S+: ([\d.]+) (\w+)/.exec(said) ?? []
  expect([Number(exposure) <= 2.5, word]).toEqual([true, 'OK'])
})
