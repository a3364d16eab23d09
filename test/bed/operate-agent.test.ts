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
    'ln -s /opt/fairlead/bin/fairlead /usr/local/bin/fairlead; adduser --system --group --home /var/lib/mcp-raspi --quiet mcp-raspi; mkdir -p /etc/mcp-raspi; ' +
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
