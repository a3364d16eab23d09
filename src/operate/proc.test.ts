// The kernel's texts as real machines write them, a Raspberry Pi among them.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { deviceTreeText, parseCpuinfo, parseOsRelease, zoneOfLink } from './model.ts'
import { ipv6, parseIpv4Defaults, parseIpv6Defaults, parseResolvConf } from './network.ts'
import { cpuPercents, parseBootTime, parseCpuTimes, parseLoad, parseMeminfo, parseMounts, parsePressure, parseUptime } from './proc.ts'
import { parseCmdline, parsePasswd, parseProcessStat, parseProcessStatus } from './process.ts'
import { parseThrottled } from './throttling.ts'

describe('the whole machine', () => {
  const before =
    'cpu  1000 50 300 8000 100 0 50 20 7 0\ncpu0 500 25 150 4000 50 0 25 10 7 0\ncpu1 500 25 150 4000 50 0 25 10 0 0\nintr 1 2 3\nbtime 1700000000\n'
  const after =
    'cpu  1060 50 320 8100 120 0 50 20 7 0\ncpu0 560 25 170 4000 70 0 25 10 7 0\ncpu1 500 25 150 4100 50 0 25 10 0 0\nbtime 1700000000\n'
  test('CPU use is what was not idle, waiting for a disk being idle; guest time is not counted twice', () => {
    expect(cpuPercents(parseCpuTimes(before), parseCpuTimes(after))).toEqual([
      { cpu: 'all', percent: 40 },
      { cpu: '0', percent: 80 },
      { cpu: '1', percent: 0 },
    ])
    expect(cpuPercents(parseCpuTimes(before), parseCpuTimes(before))).toEqual([])
  })
  test('boot, uptime and load', () => {
    expect(parseBootTime(before)).toBe(1_700_000_000)
    expect(parseUptime('350735.47 234388.90\n')).toBe(350_735.47)
    expect(parseLoad('0.20 0.18 0.12 1/80 11206\n')).toEqual({ oneMinute: 0.2, fiveMinutes: 0.18, fifteenMinutes: 0.12 })
    expect([parseBootTime(''), parseUptime(''), parseLoad('')]).toEqual([undefined, undefined, undefined])
  })
  test('memory in bytes', () => {
    const values = parseMeminfo('MemTotal:        3884360 kB\nMemAvailable:    3245212 kB\nHugePages_Total:       4\n')
    expect([values.get('MemTotal'), values.get('MemAvailable'), values.get('HugePages_Total')]).toEqual([
      3_884_360 * 1024,
      3_245_212 * 1024,
      4,
    ])
  })
  test('pressure', () => {
    expect(parsePressure('some avg10=1.53 avg60=0.87 avg300=0.32 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.10 total=2\n')).toEqual({
      some: { avg10: 1.53, avg60: 0.87, avg300: 0.32 },
      full: { avg10: 0, avg60: 0, avg300: 0.1 },
    })
  })
  test('mounts: each device once, spaces decoded, pseudo filesystems and memory left out, remote ones marked', () => {
    const text = [
      'proc /proc proc rw 0 0',
      'tmpfs /run tmpfs rw 0 0',
      '/dev/mmcblk0p2 / ext4 rw,noatime 0 0',
      '/dev/mmcblk0p1 /boot/firmware vfat ro,relatime 0 0',
      '/dev/sda1 /media/my\\040disk exfat rw 0 0',
      '/dev/mmcblk0p2 /var/lib/bind ext4 rw 0 0',
      'nas:/share /mnt/nas nfs4 rw 0 0',
      'cgroup2 /sys/fs/cgroup cgroup2 rw 0 0',
      '',
    ].join('\n')
    expect(parseMounts(text).map(({ path, isReadOnly, isRemote }) => [path, isReadOnly, isRemote])).toEqual([
      ['/', false, false],
      ['/boot/firmware', true, false],
      ['/media/my disk', false, false],
      ['/mnt/nas', false, true],
    ])
  })
  test('throttling bits of a Raspberry Pi', () => {
    const none = { underVoltage: false, frequencyCapped: false, throttled: false, softTemperatureLimit: false }
    expect(parseThrottled('throttled=0x0\n')).toEqual({ now: none, sinceBoot: none })
    expect(parseThrottled('throttled=0x50005\n')).toEqual({
      now: { ...none, underVoltage: true, throttled: true },
      sinceBoot: { ...none, underVoltage: true, throttled: true },
    })
    expect(parseThrottled('throttled=0xe0000\n')).toEqual({
      now: none,
      sinceBoot: { underVoltage: false, frequencyCapped: true, throttled: true, softTemperatureLimit: true },
    })
    expect(parseThrottled('error=1 error_msg="Command not registered"')).toBeUndefined()
  })
})

describe('what the machine is', () => {
  test('os-release, quoted or not', () => {
    expect(parseOsRelease('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n')).toEqual({
      name: 'Debian GNU/Linux',
      version: '12',
      id: 'debian',
      prettyName: 'Debian GNU/Linux 12 (bookworm)',
    })
    expect(parseOsRelease("NAME='Odd \\$OS'\n")).toEqual({ name: 'Odd $OS' })
    expect(parseOsRelease('')).toBeUndefined()
  })
  test('CPUs: a Raspberry Pi 4 names parts, a PC names a model', () => {
    const pi = [0, 1, 2, 3]
      .map(
        (n) =>
          `processor\t: ${n}\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd08\nCPU revision\t: 3\n`,
      )
      .join('\n')
    expect(parseCpuinfo(`${pi}\nRevision\t: c03115\nSerial\t\t: 10000000abcdef01\nModel\t\t: Raspberry Pi 4 Model B Rev 1.5\n`)).toEqual({
      count: 4,
      model: 'Arm Cortex-A72',
      board: 'Raspberry Pi 4 Model B Rev 1.5',
    })
    expect(parseCpuinfo('processor\t: 0\nmodel\t\t: 167\nmodel name\t: Some CPU @ 2 GHz\n')).toEqual({
      count: 1,
      model: 'Some CPU @ 2 GHz',
      board: undefined,
    })
    expect(parseCpuinfo('processor\t: 0\nCPU implementer\t: 0x51\nCPU part\t: 0x001\n').model).toBe('implementer 0x51 part 0x001')
  })
  test('zone and device tree', () => {
    expect([
      zoneOfLink('/usr/share/zoneinfo/Europe/Zurich'),
      zoneOfLink('../usr/share/zoneinfo/posix/Etc/UTC'),
      zoneOfLink('/etc/other'),
    ]).toEqual(['Europe/Zurich', 'Etc/UTC', undefined])
    expect([deviceTreeText('Raspberry Pi 5 Model B Rev 1.0\0'), deviceTreeText('\0')]).toEqual([
      'Raspberry Pi 5 Model B Rev 1.0',
      undefined,
    ])
  })
})

describe('network', () => {
  test('default routes of both families', () => {
    const route =
      'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n' +
      'wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\nwlan0\t0000A8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0\ntun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\n'
    expect(parseIpv4Defaults(route)).toEqual([
      { family: 'IPv4', interface: 'wlan0', gateway: '192.168.0.1', metric: 600 },
      { family: 'IPv4', interface: 'tun0', metric: 50 },
    ])
    const zero = '0'.repeat(32)
    const ipv6Route = `${zero} 00 ${zero} 00 fe800000000000000000000000000001 00000400 00000002 00000000 00000003 eth0\n${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200 lo\n`
    expect(parseIpv6Defaults(ipv6Route)).toEqual([{ family: 'IPv6', interface: 'eth0', gateway: 'fe80::1', metric: 1024 }])
    expect([parseIpv4Defaults(''), parseIpv6Defaults('')]).toEqual([[], []])
  })
  test('IPv6 is written so that a URL parser would write it the same', () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }))
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const hex = groups.map((value) => value.toString(16).padStart(4, '0')).join('')
        expect(`[${ipv6(hex)}]`).toBe(new URL(`http://[${groups.map((value) => value.toString(16)).join(':')}]`).hostname)
      }),
    )
  })
  test('resolv.conf', () => {
    expect(
      parseResolvConf(
        '# by hand\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver 10.0.0.1\ndomain old\nsearch home.arpa lan\n;nameserver 1.1.1.1\n',
      ),
    ).toEqual({
      servers: ['10.0.0.1', 'fe80::1%eth0'],
      search: ['home.arpa', 'lan'],
    })
  })
})

describe('one process', () => {
  const numbers = (ppid: number): string =>
    `${ppid} 1 1 0 -1 4194560 100 0 0 0 25 15 0 0 20 0 1 0 98539 3133440 412 18446744073709551615 0 0`
  test('stat, whatever the command is called', () => {
    expect(parseProcessStat(`42 (bash) S ${numbers(7)}\n`)).toEqual({
      pid: 42,
      command: 'bash',
      state: 'sleeping',
      ppid: 7,
      cpuTicks: 40,
      startTicks: 98_539,
    })
    fc.assert(
      fc.property(fc.string({ maxLength: 15 }), (command) => {
        expect(parseProcessStat(`42 (${command}) Z ${numbers(1)}\n`)).toMatchObject({ pid: 42, command, state: 'zombie', ppid: 1 })
      }),
    )
    expect([parseProcessStat(''), parseProcessStat('42 (cut'), parseProcessStat('42 (cut) S 1 2')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })
  test('status: the effective user; kernel threads have no memory', () => {
    expect(parseProcessStatus('Name:\tx\nUid:\t1000\t0\t0\t0\nVmRSS:\t    1860 kB\n')).toEqual({ uid: 0, rssBytes: 1860 * 1024 })
    expect(parseProcessStatus('Name:\tkthreadd\nUid:\t0\t0\t0\t0\n')).toEqual({ uid: 0, rssBytes: 0 })
  })
  test('cmdline and passwd', () => {
    expect([parseCmdline('a\0b c\0'), parseCmdline('a\0\0'), parseCmdline('')]).toEqual([['a', 'b c'], ['a', ''], []])
    expect([...parsePasswd('root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\ntoor:x:0:0:::\n\n')]).toEqual([
      [0, 'root'],
      [1000, 'ann'],
    ])
  })
})
