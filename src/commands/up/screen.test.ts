// Proves the screen of `fairlead up` on machines that are not this one: nothing known, or very much; nothing cut that is to be pasted.
import { expect, test } from 'vitest'
import { type Facts, type Health, type Shown, screen } from './screen.ts'

const style = { bold: String, dim: (text: string) => `«${text}»`, good: String, bad: (text: string) => `!${text}!` }
const shown: Shown = {
  ok: true,
  version: '1.2.3',
  addresses: {
    registry: '/ip4/127.0.0.1/tcp/8765/p2p/12D3KooWRegistry',
    peer: '/ip4/127.0.0.1/tcp/8766/p2p/12D3KooWNode',
    machine: 'http://127.0.0.1:8000/mcp',
    gate: 'http://127.0.0.1:8001/mcp/machine',
    health: 'http://127.0.0.1:8001/health',
    dashboard: 'http://127.0.0.1:8001/',
  },
  peerId: '12D3KooWNode',
  line: ['client', 'server'],
  results: {},
  hops: [
    { hop: 'machine tools', callMs: 4, addsMs: 4 },
    { hop: 'gate', callMs: 3.5, addsMs: -0.5 },
  ],
  firstAnswerMs: 371.25,
  client: {
    mcpServers: {
      'this-machine': { command: '/usr/bin/node', args: ['/a/main.js', 'reach', 'mcp-connect', '12D3KooWNode', '--home', '/h'] },
    },
  },
  http: { url: 'http://127.0.0.1:8001/mcp/machine', tokenFile: '/s/owner.token' },
}

test('what this machine cannot tell is told with the reason, dimmed; a tool that answered nothing breaks nothing', () => {
  const unavailable = 'a very long reason '.repeat(10)
  const facts: Facts = {
    hostname: { unavailable },
    os: { unavailable },
    model: { unavailable },
    cpu: { unavailable },
    uptimeSeconds: { unavailable },
  }
  for (const [given, health] of [
    [facts, { cpu: { unavailable }, memory: { unavailable }, disks: { unavailable }, temperatures: { unavailable } }],
    [{}, {}],
  ] satisfies [Facts, Health][]) {
    const text = screen(shown, given, health, style, true)
    for (const label of ['machine', 'system', 'model', 'processor', 'CPU', 'memory', 'disks', 'temperature'])
      expect(text).toMatch(new RegExp(`^  ${label} +«unavailable: `, 'm'))
    for (const line of text.replaceAll(/[«»]/g, '').split('\n')) expect(line.length).toBeLessThanOrEqual(100)
  }
})

test('a machine with much of everything: the fullest disks, some sensors, what needs attention, and still one screen', () => {
  const use = (usedPercent: number) => ({ totalBytes: 2 ** 40, usedBytes: 2 ** 39, availableBytes: 2 ** 38, usedPercent })
  const health: Health = {
    load: { oneMinute: 1, fiveMinutes: 2.346, fifteenMinutes: 3 },
    cpu: { percent: 12.34, overMs: 250 },
    memory: use(50),
    swap: use(3.21),
    disks: [
      { path: '/remote', unavailable: 'not asked' },
      ...[1, 2, 3, 4, 5].map((n) => ({ path: `/srv/a-long-name-${n}`, ...use(n * 10) })),
    ],
    temperatures: [
      { name: 'cpu-thermal', celsius: 51.04 },
      { name: 'gpu', celsius: { unavailable: 'no' } },
      ...Array.from({ length: 9 }, () => ({ name: 'zone', celsius: 40 })),
    ],
    warnings: [1, 2, 3, 4].map((n) => ({ message: `trouble ${n}` })),
  }
  const facts: Facts = {
    hostname: 'pi',
    os: { prettyName: 'Debian' },
    kernel: '6.1',
    architecture: 'aarch64',
    model: 'Raspberry Pi 5',
    cpu: { count: 4, model: 'Arm Cortex-A76' },
    uptimeSeconds: 93_784,
  }
  const text = screen(shown, facts, health, style, true)
  expect(text).toContain('  machine        pi, up 1 d 2 h\n  system         Debian, 6.1, aarch64\n')
  expect(text).toContain('12 % busy over 250 ms; load 1.00 2.35 3.00\n')
  expect(text).toContain('512 GiB of 1.00 TiB in use (50 %); swap: 512 GiB of 1.00 TiB in use (3.2 %)\n')
  expect(text).toMatch(/disk \/srv\/a-l… 512 GiB in use, 256 GiB free \(50 %\)\n.*\(40 %\)\n.*\(30 %\)\n.*and 3 less full ones\n/)
  expect(text).toContain('cpu-thermal 51.0 °C, gpu unavailable, zone 40.0 °C, zone 40.0 °C\n')
  expect(text.match(/^ {2}!attention +!trouble \d$/gm)).toHaveLength(3)
  expect(text).toMatch(/gate +3\.5 ms +−0\.5 ms\n/)
  for (const line of text.replaceAll(/[«»!]/g, '').split('\n')) expect(line.length).toBeLessThanOrEqual(100)
  expect(text.split('\n').length).toBeLessThanOrEqual(45)
})

test('what is to be pasted stays JSON, and a flag stays beside its value, however long the words are', () => {
  for (const length of [1, 20, 60, 90, 200]) {
    const args = [
      '/a/main.js',
      'reach',
      'mcp-connect',
      'x'.repeat(length),
      '--home',
      `/h/"${'y'.repeat(length)}"`,
      '--address',
      '/ip4/127.0.0.1/tcp/1',
      '--last',
    ]
    const client = { mcpServers: { one: { command: '/usr/bin/node', args } } }
    const text = screen({ ...shown, client }, {}, {}, style, false)
    expect(JSON.parse(/\{ "mcpServers"[\s\S]*?\n {4}\} \} \}/.exec(text)![0])).toEqual(client)
    expect(text).toMatch(/"--address", "\/ip4/)
    expect(text).not.toContain('Ctrl-C')
  }
})
