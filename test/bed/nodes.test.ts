// The machines of the bed are machines: systemd, a user with rootless podman, a network that can be cut, a disk that outlives a crash; and nothing of them stays.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Nodes, createNodes, obstacle } from './nodes.ts'

const missing = obstacle()
const forwarding = (): string => readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8')
/** Bridges as podman calls them: other beds make links of their own meanwhile. */
const bridges = (): string[] => execFileSync('ip', ['-br', 'link'], { encoding: 'utf8' }).match(/^podman\S*/gm) ?? []
const before = { forwarding: forwarding(), bridges: bridges() }
let nodes: Nodes

beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
beforeAll(async () => {
  if (missing === undefined) nodes = await createNodes(['na', 'nb'])
}, 90_000)
afterAll(() => nodes?.close(), 60_000)

/** What becomes of a connection to a port on which nobody listens: a machine that is there refuses it. */
const knock = async (from: string, to: string): Promise<string> => {
  const script = `import socket; socket.create_connection(('${to}', 9), 1)`
  const { stderr } = await nodes.exec(from, ['/usr/bin/python3', '-c', script], { timeoutMs: 10_000 })
  return stderr.trim().split('\n').at(-1) ?? ''
}
const refused = expect.stringContaining('refused') as string

test('systemd is their first process, and holds a unit to what it may', async () => {
  expect((await nodes.exec('na', ['cat', '/proc/1/comm'])).stdout).toBe('systemd\n')
  const { code, stderr } = await nodes.exec('na', ['systemd-run', '--wait', '--pipe', '-p', 'ProtectSystem=strict', 'touch', '/usr/x'])
  expect({ code, isRefused: stderr.includes('Read-only file system') }).toEqual({ code: 1, isRefused: true })
})

test('the user mcp has a manager of its own, and rootless podman with a socket that starts it', async () => {
  expect((await nodes.exec('na', ['systemctl', '--user', 'enable', '--now', 'podman.socket'], { user: 'mcp' })).code).toBe(0)
  const asked = [
    'podman',
    '--url',
    'unix:///run/user/20001/podman/podman.sock',
    'info',
    '--format',
    '{{.Host.Security.Rootless}} {{.Store.GraphDriverName}}',
  ]
  expect((await nodes.exec('na', asked, { user: 'mcp' })).stdout).toBe('true overlay\n')
})

test('they find each other by name, until the cable is out', async () => {
  expect(await knock('na', 'nb')).toEqual(refused)
  nodes.cut('nb', true)
  expect(await knock('na', nodes.address('nb'))).toMatch(/timed out|No route/)
  nodes.cut('nb', false)
  await expect.poll(() => knock('na', 'nb'), { timeout: 15_000 }).toEqual(refused)
})

test('what was on the disk is there after a crash, what was in memory is not', async () => {
  await nodes.exec('nb', ['sh', '-c', 'mkdir -p /srv/thing; echo kept >/srv/thing/file; echo lost >/run/file'])
  await nodes.crash('nb')
  await nodes.boot('nb')
  expect(await nodes.exec('nb', ['cat', '/srv/thing/file'])).toMatchObject({ code: 0, stdout: 'kept\n' })
  expect(await nodes.exec('nb', ['test', '-e', '/run/file'])).toMatchObject({ code: 1 })
  await expect.poll(() => knock('na', 'nb'), { timeout: 15_000 }).toEqual(refused)
})

test('a lost machine is lost, and another takes its place', async () => {
  await nodes.destroy('nb')
  expect((await nodes.exec('nb', ['true'])).code).not.toBe(0)
  await nodes.add('nb')
  expect((await nodes.exec('nb', ['test', '-e', '/srv/thing'])).code).toBe(1)
})

test('nothing of this machine was changed, and nothing stays', async () => {
  expect({ forwarding: forwarding(), bridges: bridges() }).toEqual({ forwarding: before.forwarding, bridges: before.bridges })
  expect(existsSync(nodes.folder)).toBe(true)
  await nodes.close()
  expect(existsSync(nodes.folder)).toBe(false)
})
