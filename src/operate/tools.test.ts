// The four machine tools on a made-up machine: a folder that looks like a Raspberry Pi's /proc, /sys and /etc, and one that has nothing.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { z } from 'zod'
import type { Tool } from '../base/mcp/tool/tool.ts'
import type { Clock } from '../kernel/clock.ts'
import { plainCall } from './helper/memory-link.fixture.ts'
import { createHost } from './host.ts'
import { machineNeeds } from './needs.fixture.ts'
import type { MachineNeeds } from './needs.ts'
import processList from './tools/process-list.ts'
import basicInfo from './tools/system-get-basic-info.ts'
import healthSnapshot from './tools/system-get-health-snapshot.ts'
import networkInfo from './tools/system-get-network-info.ts'

const pi: Record<string, string> = {
  '/proc/sys/kernel/hostname': 'garden\n',
  '/proc/sys/kernel/osrelease': '6.6.31+rpt-rpi-v8\n',
  '/proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.5\0',
  '/proc/cpuinfo':
    'processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\nprocessor\t: 1\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n',
  '/proc/meminfo':
    'MemTotal:        1000000 kB\nMemFree:          20000 kB\nMemAvailable:      50000 kB\nCached:           10000 kB\nSReclaimable:      5000 kB\nSwapTotal:        100000 kB\nSwapFree:          75000 kB\n',
  '/proc/stat': 'cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 50 0 50 400 0 0 0 0 0 0\ncpu1 50 0 50 400 0 0 0 0 0 0\nbtime 1700000000\n',
  '/proc/uptime': '3600.50 7000.00\n',
  '/proc/loadavg': '0.50 4.40 0.30 1/100 999\n',
  '/proc/mounts': 'proc /proc proc rw 0 0\n/dev/mmcblk0p2 / ext4 rw 0 0\nnas:/a /mnt/nas nfs rw 0 0\n',
  '/proc/pressure/cpu': 'some avg10=1.00 avg60=2.00 avg300=3.00 total=1\n',
  '/proc/net/route': 'Iface\tDestination\tGateway\nwlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n',
  '/etc/os-release': 'NAME="Debian GNU/Linux"\nVERSION_ID="12"\n',
  '/etc/timezone': 'Europe/Zurich\n',
  '/etc/resolv.conf': 'nameserver 192.168.0.1\n',
  '/etc/passwd': 'root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n',
  '/sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
  '/sys/class/thermal/thermal_zone0/temp': '84312\n',
  '/sys/class/thermal/thermal_zone1/type': 'odd\n',
  '/sys/class/thermal/thermal_zone1/temp': '\n',
  '/sys/class/net/wlan0/operstate': 'up\n',
  '/sys/class/net/wlan0/address': 'dc:a6:32:00:00:01\n',
  '/sys/class/net/wlan0/mtu': '1500\n',
  '/sys/class/net/wlan0/statistics/rx_bytes': '12345\n',
  '/sys/class/net/wlan0/statistics/tx_bytes': '678\n',
  '/sys/class/net/bonding_masters': '\n',
}

const stat = (pid: number, command: string, ppid: number, ticks: number): string =>
  `${pid} (${command}) S ${ppid} 1 1 0 -1 4194560 100 0 0 0 ${ticks} 0 0 0 20 0 1 0 36000 1 1 0\n`
function addProcess(pid: number, name: string, uid: number, ticks: number, rssKb: number, args: string[]): void {
  pi[`/proc/${pid}/stat`] = stat(pid, name.slice(0, 15), 1, ticks)
  pi[`/proc/${pid}/status`] = `Name:\t${name}\nUid:\t${uid}\t${uid}\t${uid}\t${uid}\n${rssKb ? `VmRSS:\t${rssKb} kB\n` : ''}`
  pi[`/proc/${pid}/cmdline`] = args.map((arg) => `${arg}\0`).join('')
}
addProcess(1, 'systemd', 0, 500, 9_000, ['/sbin/init'])
addProcess(2, 'kthreadd', 0, 0, 0, [])
addProcess(100, 'mosquitto-with-a-long-name', 1000, 700, 4_000, ['/opt/mosquitto-with-a-long-name', '--password', 'hunter2'])
addProcess(200, 'sshd', 0, 700, 5_000, ['sshd', '-D'])
addProcess(300, 'ghost', 4242, 1, 1_000, ['ghost'])
pi['/proc/400/stat'] = '' // it ended between two reads
pi['/proc/500/comm'] = 'gone before anything was read\n'

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'fairlead-machine-'))
  for (const [path, text] of Object.entries(pi)) {
    mkdirSync(join(root, dirname(path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  mkdirSync(join(root, 'usr/bin'), { recursive: true })
  writeFileSync(join(root, 'usr/bin/vcgencmd'), '#!/bin/sh\necho throttled=0x50005\n', { mode: 0o755 })
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Time stands still, but for the wait between two readings of the CPU counters. */
function needsOf(at: string, during: () => void = () => {}): MachineNeeds {
  let mono = 0
  const clock: Clock = {
    now: () => Date.UTC(2026, 10, 20),
    mono: () => mono,
    after: () => () => {},
    async wait(delayMs) {
      mono += delayMs
      during()
    },
  }
  return machineNeeds({ host: createHost(at), clock, version: '9.9.9' })
}

/** As the server calls it: defaults filled in, the answer checked against its schema. */
async function ask<In extends z.ZodObject, Out extends z.ZodObject>(
  tool: Tool<MachineNeeds, In, Out>,
  input: z.input<In>,
  needs: MachineNeeds,
): Promise<z.output<Out>> {
  return tool.output.strict().parse(await tool.handle(needs, tool.input.parse(input), plainCall())) as z.output<Out>
}

describe('a Raspberry Pi', () => {
  test('system_get_basic_info', async () => {
    expect(await ask(basicInfo, {}, needsOf(root))).toMatchObject({
      hostname: 'garden',
      os: { name: 'Debian GNU/Linux', version: '12' },
      kernel: '6.6.31+rpt-rpi-v8',
      model: 'Raspberry Pi 4 Model B Rev 1.5',
      cpu: { count: 2, model: 'Arm Cortex-A72' },
      memoryTotalBytes: 1_024_000_000,
      bootedAt: '2023-11-14T22:13:20.000Z',
      uptimeSeconds: 3600.5,
      timezone: 'Europe/Zurich',
      fairleadVersion: '9.9.9',
    })
  })

  test('the timezone that is linked counts before the one that is named', async () => {
    symlinkSync('/usr/share/zoneinfo/Asia/Tokyo', join(root, 'etc/localtime'))
    expect((await ask(basicInfo, {}, needsOf(root))).timezone).toBe('Asia/Tokyo')
  })

  test('system_get_health_snapshot measures between two readings and warns by the thresholds', async () => {
    const later = 'cpu  160 0 120 820 0 0 0 0 0 0\ncpu0 110 0 70 400 0 0 0 0 0 0\ncpu1 50 0 50 420 0 0 0 0 0 0\nbtime 1700000000\n'
    const snapshot = await ask(
      healthSnapshot,
      {},
      needsOf(root, () => writeFileSync(join(root, 'proc/stat'), later)),
    )
    expect(snapshot).toMatchObject({
      time: '2026-11-20T00:00:00.000Z',
      cpu: {
        percent: 80,
        overMs: 250,
        each: [
          { cpu: '0', percent: 100 },
          { cpu: '1', percent: 0 },
        ],
      },
      memory: { totalBytes: 1_024_000_000, availableBytes: 51_200_000, usedBytes: 972_800_000, usedPercent: 95, cachedBytes: 15_360_000 },
      swap: { usedBytes: 25_600_000, usedPercent: 25 },
      temperatures: [
        { zone: 'thermal_zone0', name: 'cpu-thermal', celsius: 84.3 },
        { zone: 'thermal_zone1', celsius: { unavailable: expect.stringContaining('thermal_zone1/temp holds no number') } },
      ],
      throttling: { now: { underVoltage: true, throttled: true }, sinceBoot: { frequencyCapped: false } },
      pressure: { cpu: { some: { avg10: 1 } }, memory: { unavailable: expect.stringContaining('/proc/pressure/memory does not exist') } },
    })
    expect(snapshot.disks).toMatchObject([
      { path: '/', type: 'ext4', totalBytes: expect.any(Number) },
      { path: '/mnt/nas', unavailable: expect.stringContaining('remote') },
    ])
    expect(snapshot.warnings.map(({ what }) => what).filter((what) => what !== 'disk')).toEqual([
      'memory',
      'load',
      'temperature',
      'power',
      'throttling',
    ])
    expect(snapshot.warnings.find(({ what }) => what === 'temperature')).toEqual({
      what: 'temperature',
      message: 'cpu-thermal is at 84.3 °C, at or above the limit of 80',
      value: 84.3,
      limit: 80,
    })
  })

  test('system_get_network_info', async () => {
    const { interfaces, defaultRoutes, dns } = await ask(networkInfo, {}, needsOf(root))
    expect(interfaces).toMatchObject([
      {
        name: 'wlan0',
        state: 'up',
        mac: 'dc:a6:32:00:00:01',
        mtu: 1500,
        speedMbps: { unavailable: expect.any(String) },
        counters: { rxBytes: 12_345, txBytes: 678 },
      },
    ])
    expect(defaultRoutes).toEqual([{ family: 'IPv4', interface: 'wlan0', gateway: '192.168.0.1', metric: 600 }])
    expect(dns).toEqual({ servers: ['192.168.0.1'], search: [] })
  })

  test('process_list: order, filters, whole names, no secrets, and no trace of what ended meanwhile', async () => {
    const needs = needsOf(root)
    const pids = async (input: z.input<typeof processList.input>): Promise<number[]> =>
      (await ask(processList, input, needs)).processes.map(({ pid }) => pid)
    expect(await pids({})).toEqual([100, 200, 1, 300, 2])
    expect(await pids({ sort: 'memory' })).toEqual([1, 200, 100, 300, 2])
    expect(await pids({ sort: 'pid' })).toEqual([1, 2, 100, 200, 300])
    expect(await pids({ user: 'ann' })).toEqual([100])
    expect(await pids({ user: '4242' })).toEqual([300])
    expect(await pids({ name: 'SSH' })).toEqual([200])
    expect(await pids({ name: 'a-long-name' })).toEqual([100])
    expect((await ask(processList, { name: 'mosquitto' }, needs)).processes).toEqual([
      {
        pid: 100,
        ppid: 1,
        user: 'ann',
        state: 'sleeping',
        name: 'mosquitto-with-a-long-name',
        commandLine: '/opt/mosquitto-with-a-long-name --password [redacted]',
        memoryBytes: 4_096_000,
        cpuSeconds: 7,
        startedAt: '2023-11-14T22:19:20.000Z',
      },
    ])
    expect((await ask(processList, { name: 'kthreadd' }, needs)).processes[0]!.commandLine).toEqual({
      unavailable: expect.stringContaining('thread of the kernel'),
    })
  })

  test.each(['cpu', 'memory', 'pid'] as const)(
    'process_list one at a time by %s gives each process once, and the total each time',
    async (sort) => {
      const needs = needsOf(root)
      const seen: number[] = []
      for (let cursor: string | undefined, pages = 0; pages < 10; pages++) {
        const { processes, total, nextCursor } = await ask(processList, { sort, limit: 1, ...(cursor ? { cursor } : {}) }, needs)
        expect(total).toBe(5)
        seen.push(...processes.map(({ pid }) => pid))
        if (!(cursor = nextCursor)) break
      }
      expect(seen).toEqual((await ask(processList, { sort }, needs)).processes.map(({ pid }) => pid))
    },
  )
})

test('a machine that shows nothing: every tool answers, with reasons and no invented value', async () => {
  const bare = mkdtempSync(join(tmpdir(), 'fairlead-bare-'))
  const needs = needsOf(bare)
  const info = await ask(basicInfo, {}, needs)
  for (const key of ['hostname', 'os', 'kernel', 'model', 'cpu', 'memoryTotalBytes', 'bootedAt', 'uptimeSeconds', 'timezone'] as const)
    expect(info[key]).toEqual({ unavailable: expect.any(String) })
  const snapshot = await ask(healthSnapshot, {}, needs)
  for (const key of ['uptimeSeconds', 'load', 'cpu', 'memory', 'swap', 'disks', 'temperatures', 'pressure'] as const)
    expect(snapshot[key]).toEqual({ unavailable: expect.any(String) })
  expect(snapshot.warnings).toEqual([])
  expect(await ask(networkInfo, {}, needs)).toMatchObject({
    interfaces: { unavailable: expect.any(String) },
    defaultRoutes: { unavailable: expect.any(String) },
    dns: { unavailable: expect.any(String) },
  })
  await expect(ask(processList, {}, needs)).rejects.toMatchObject({
    code: 'operate.no_processes',
    message: expect.stringContaining('/proc does not exist'),
  })
  rmSync(bare, { recursive: true })
})
