// The privileged helper as a unit of systemd on a machine of its own: real services, real processes, a real reboot, asked through the server as the user that it is for.
import { resolve } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Nodes, createNodes, obstacle } from './nodes.ts'

const missing = obstacle()
const repository = resolve(import.meta.dirname, '../..')
let nodes: Nodes

beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})

const config = (sandbox = 'disabled') => `helper:
  server_max_role: admin
  allow:
    units: [lamp.service, "raspi-*"]
    processes: [sleep]
power:
  allow_reboot: true
  min_reboot_interval_seconds: 0
testing:
  sandbox_mode: "${sandbox}"
`
const unit = `[Unit]
Description=Privileged helper of the machine tools
[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/local/bin/fairlead --as raspi-ops-agent
Group=mcp-raspi
RuntimeDirectory=mcp-raspi
RuntimeDirectoryMode=0750
UMask=0027
[Install]
WantedBy=multi-user.target
`
const lamp = `[Unit]
Description=A lamp
[Service]
ExecStart=/bin/sleep 1000000
ExecReload=/bin/touch /run/lamp-reloaded
[Install]
WantedBy=multi-user.target
`

async function root(script: string, input?: string): Promise<string> {
  const how = { ...(input === undefined ? {} : { input }), timeoutMs: 60_000 }
  const { code, stdout, stderr } = await nodes.exec('pi', ['sh', '-ec', script], how)
  if (code !== 0) throw new Error(`exit code ${code}: ${stdout}${stderr}`)
  return stdout.trim()
}

beforeAll(async () => {
  if (missing !== undefined) return
  nodes = await createNodes(['pi'], { mounts: [`${repository}:/opt/fairlead:ro`] })
  await root(
    'ln -s /opt/fairlead/bin/fairlead /usr/local/bin/fairlead; adduser --system --group --home /var/lib/mcp-raspi --quiet mcp-raspi; mkdir -p /etc/mcp-raspi; install -d -o mcp-raspi -g mcp-raspi -m 750 /var/log/mcp-raspi; ' +
      'umask 027; cat >/etc/mcp-raspi/config.yml; chgrp mcp-raspi /etc/mcp-raspi /etc/mcp-raspi/config.yml; chmod 750 /etc/mcp-raspi',
    config(),
  )
  await root('cat >/etc/systemd/system/lamp.service', lamp)
  await root('cat >/etc/systemd/system/raspi-ops-agent.service', unit)
  await root('systemctl daemon-reload; systemctl start raspi-ops-agent')
}, 90_000)
afterAll(() => nodes?.close(), 60_000)

type Told = {
  readonly structuredContent?: Record<string, unknown>
  readonly isError?: true
  readonly _meta?: Record<string, Record<string, unknown>>
}

/** Calls tools by the server on stdio, run as the user that it is for. */
async function call(...calls: readonly (readonly [tool: string, input: object])[]): Promise<Told[]> {
  const lines = [
    {
      id: 0,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
    },
    ...calls.map(([name, input], index) => ({ id: index + 1, method: 'tools/call', params: { name, arguments: input } })),
  ]
  const input = lines.map((line) => `${JSON.stringify({ jsonrpc: '2.0', ...line })}\n`).join('')
  const told = await root('cd /; exec runuser -u mcp-raspi -- /usr/local/bin/fairlead --as mcp-raspi-server --stdio', input)
  const answers = told.split('\n').map((line) => JSON.parse(line) as { id: number; result: Told })
  return answers
    .toSorted((a, b) => a.id - b.id)
    .slice(1)
    .map(({ result }) => result)
}
const contentOf = ({ structuredContent, ...rest }: Told): Record<string, unknown> => structuredContent ?? { ...rest }
const codeOf = (told: Told): unknown => told._meta?.['fairlead/fault']?.['code']
const show = (what: string, name = 'lamp') => root(`systemctl show -P ${what} ${name}`)

describe('services', () => {
  test('start, look, reload, restart, stop: as systemd itself says', async () => {
    expect(contentOf((await call(['service_control', { unit: 'lamp', action: 'start' }]))[0]!)).toEqual({
      unit: 'lamp.service',
      action: 'start',
      activeStateBefore: 'inactive',
      activeState: 'active',
      subState: 'running',
    })
    const pid = await show('MainPID')
    const [status, list] = await call(
      ['service_status', { unit: 'lamp.service' }],
      ['service_list', {}],
      ['service_control', { unit: 'lamp', action: 'reload' }],
    )
    expect(status!.structuredContent).toMatchObject({
      description: 'A lamp',
      activeState: 'active',
      mainPid: Number(pid),
      enabled: 'disabled',
      result: 'success',
    })
    expect(list!.structuredContent).toMatchObject({
      total: 2,
      units: [
        { unit: 'lamp.service', enabled: 'disabled' },
        { unit: 'raspi-ops-agent.service', activeState: 'active' },
      ],
    })
    await root('test -e /run/lamp-reloaded')
    await call(['service_control', { unit: 'lamp', action: 'restart' }])
    expect(await show('MainPID')).not.toBe(pid)
    await call(['service_control', { unit: 'lamp', action: 'stop' }])
    expect(await show('ActiveState')).toBe('inactive')
  }, 60_000)
  test('enable and disable', async () => {
    const [on] = await call(['service_enable', { unit: 'lamp', enabled: true }])
    expect(on!.structuredContent).toEqual({ unit: 'lamp.service', enabledBefore: 'disabled', enabled: 'enabled' })
    await root('test -L /etc/systemd/system/multi-user.target.wants/lamp.service')
    await call(['service_enable', { unit: 'lamp', enabled: false }])
    expect(await show('UnitFileState')).toBe('disabled')
  }, 60_000)
  test('what is not on the list, does not exist or is no name of a unit is refused', async () => {
    const wrong = [
      'ssh',
      'dbus.service',
      '--host=evil',
      '-Hevil.service',
      'lamp.service;reboot',
      '../lamp.service',
      'lamp.service\n',
      'raspi-none',
    ]
    const told = await call(...wrong.map((name) => ['service_control', { unit: name, action: 'stop' }] as const), [
      'service_status',
      { unit: 'dbus' },
    ])
    expect(told.map(codeOf)).toEqual([
      'operate.not_listed',
      'operate.not_listed',
      ...Array(5).fill('operate.bad_unit'),
      'operate.unknown_unit',
      'operate.not_listed',
    ])
  }, 60_000)
})

describe('processes', () => {
  test('a process is signalled by number and name together, and only one that is on the list', async () => {
    await root('systemctl start lamp')
    const pid = Number(await show('MainPID'))
    const told = await call(
      ['process_signal', { pid, name: 'cat', signal: 'KILL' }],
      ['process_signal', { pid: 1, name: 'sleep', signal: 'KILL' }],
      ['process_signal', { pid: Number(await show('MainPID', 'dbus')), name: 'sleep', signal: 'KILL' }],
    )
    expect(told.map(codeOf)).toEqual(['operate.not_listed', 'tool.bad_input', 'operate.not_that_process'])
    expect(await show('ActiveState')).toBe('active')
    const [info, killed] = await call(['process_info', { pid }], ['process_signal', { pid, name: 'sleep', signal: 'KILL' }])
    expect(info!.structuredContent).toMatchObject({ name: 'sleep', arguments: ['/bin/sleep', '1000000'], unit: 'lamp.service', ppid: 1 })
    expect(killed!.structuredContent).toEqual({ pid, name: 'sleep', signal: 'KILL' })
    await expect.poll(() => show('Result'), { timeout: 5_000 }).toBe('signal')
  }, 60_000)
})

describe('a server that was taken over', () => {
  const asServer = (script: string) => nodes.exec('pi', ['runuser', '-u', 'mcp-raspi', '--', 'sh', '-c', script])
  test('cannot change what the helper goes by, nor its record, nor its socket; a stranger cannot even open it', async () => {
    for (const path of ['/etc/mcp-raspi/config.yml', '/var/log/mcp-raspi-agent/ledger/audit.log', '/run/mcp-raspi/other.sock'])
      expect((await asServer(`: >>${path}`)).code, path).not.toBe(0)
    for (const path of ['/etc/mcp-raspi/config.yml', '/run/mcp-raspi/ops-agent.sock', '/var/log/mcp-raspi-agent/ledger/audit.log'])
      expect((await asServer(`rm -f ${path} || mv ${path} ${path}.old`)).code, path).not.toBe(0)
    const open = 'python3 -c "import socket; socket.socket(socket.AF_UNIX).connect(\'/run/mcp-raspi/ops-agent.sock\')"'
    expect((await asServer(open)).code).toBe(0)
    expect((await nodes.exec('pi', ['runuser', '-u', 'nobody', '--', 'sh', '-c', open])).stderr).toContain('PermissionError')
    expect(await root('stat -c "%U:%G %a" /run/mcp-raspi /run/mcp-raspi/ops-agent.sock')).toBe('root:mcp-raspi 750\nroot:mcp-raspi 660')
  }, 60_000)
})

describe('the sandbox, by the step of the runbook', () => {
  const sed = (mode: string) => root(`sed -i 's/sandbox_mode:.*/sandbox_mode: "${mode}"/' /etc/mcp-raspi/config.yml`)
  test('counts for a helper that was not restarted', async () => {
    await root('systemctl start lamp')
    await sed('full')
    const [stopped] = await call(['service_control', { unit: 'lamp', action: 'stop' }])
    expect(stopped!._meta).toEqual({ 'fairlead/simulated': 'full' })
    expect(await show('ActiveState')).toBe('active')
    await sed('disabled')
    await call(['service_control', { unit: 'lamp', action: 'stop' }])
    expect(await show('ActiveState')).toBe('inactive')
  }, 60_000)
})

describe('power', () => {
  test('the answer comes first; it can be cancelled; then the machine really restarts', async () => {
    const [planned] = await call(['system_reboot', { reason: 'test', delaySeconds: 60 }])
    const [again, off] = await call(
      ['system_reboot', { reason: 'twice', delaySeconds: 60 }],
      ['system_shutdown', { reason: 'test', confirm: 'another machine' }],
    )
    const [cancelled] = await call(['system_cancel', {}])
    const [none] = await call(['system_cancel', {}])
    expect(Date.parse(planned!.structuredContent!['dueAt'] as string)).toBeGreaterThan(Date.now())
    expect(codeOf(again!)).toBe('operate.power_busy')
    expect(cancelled!.structuredContent).toMatchObject({ cancelled: 'reboot', reason: 'test' })
    expect(codeOf(none!)).toBe('operate.nothing_planned')
    expect(codeOf(off!)).toBe('operate.not_confirmed')
    const [told] = await call(['system_reboot', { reason: 'test', delaySeconds: 1 }])
    expect(told!.structuredContent).toMatchObject({ dueAt: expect.any(String) as string })
    await expect.poll(async () => (await nodes.exec('pi', ['true'])).code, { timeout: 20_000, interval: 200 }).not.toBe(0)
    await nodes.boot('pi')
    expect(await root('cat /var/log/mcp-raspi-agent/ledger/audit.log')).toMatch(/"event":"power.begin","action":"reboot","reason":"test"/)
  }, 90_000)
})
