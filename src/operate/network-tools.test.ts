// The tools for the network: real sockets of this test, a name server of its own, and programs that write down what they were asked.
import { once } from 'node:events'
import { createSocket } from 'node:dgram'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { z } from 'zod'
import type { Tool } from '../base/mcp/tool/tool.ts'
import { capabilitiesOf } from './capabilities.ts'
import { plainCall } from './helper/memory-link.fixture.ts'
import { createHost } from './host.ts'
import { machineNeeds } from './needs.fixture.ts'
import type { MachineNeeds } from './needs.ts'
import { isHostName, isInterfaceName, parseIwLink, parseListeners, parsePing } from './network.ts'
import connectivity from './tools/network-check-connectivity.ts'
import wifi from './tools/network-get-wifi.ts'
import listeners from './tools/network-list-listeners.ts'
import resolveName from './tools/network-resolve-name.ts'
import capabilities from './tools/system-get-capabilities.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

function machine(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'fairlead-network-'))
  closing.push(() => rmSync(root, { recursive: true, force: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text, { mode: path.startsWith('usr/bin') ? 0o755 : 0o644 })
  }
  return root
}
const needsOf = (root: string): MachineNeeds => machineNeeds({ host: createHost(root) })
async function ask<In extends z.ZodObject, Out extends z.ZodObject>(
  tool: Tool<MachineNeeds, In, Out>,
  given: z.input<In>,
  root = '',
): Promise<z.output<Out>> {
  return tool.output.strict().parse(await tool.handle(needsOf(root), tool.input.parse(given), plainCall())) as z.output<Out>
}

describe('network_list_listeners', () => {
  test('shows the sockets of this very process, and to whom they are open', async () => {
    const open = createServer().listen(0, '0.0.0.0')
    const own = createServer().listen(0, '127.0.0.1')
    const udp = createSocket('udp6').bind(0, '::1')
    await Promise.all([once(open, 'listening'), once(own, 'listening'), once(udp, 'listening')])
    closing.push(
      () => open.close(),
      () => own.close(),
      () => udp.close(),
    )
    const find = async (port: number): Promise<unknown> => (await ask(listeners, { port })).listeners
    expect(await find((open.address() as AddressInfo).port)).toMatchObject([{ protocol: 'tcp', address: '0.0.0.0', isOpenToOthers: true }])
    expect(await find((own.address() as AddressInfo).port)).toMatchObject([{ address: '127.0.0.1', isOpenToOthers: false }])
    expect(await find(udp.address().port)).toMatchObject([{ protocol: 'udp', family: 'IPv6', address: '::1', isOpenToOthers: false }])
  })
  test('pages give each one once', async () => {
    const row = (address: string, port: number, state: string): string =>
      `   0: ${address}:${port.toString(16).padStart(4, '0').toUpperCase()} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 1`
    const tcp = [
      '  sl',
      row('00000000', 80, '0A'),
      row('0100007F', 80, '0A'),
      row('0100007F', 22, '0A'),
      row('0100007F', 9_999, '01'),
    ].join('\n')
    const root = machine({ 'proc/net/tcp': tcp, 'proc/net/udp': row('00000000', 53, '07'), 'etc/passwd': 'ann:x:1000:1000::/:/bin/sh\n' })
    const seen: string[] = []
    for (let cursor: string | undefined, pages = 0; pages < 9; pages++) {
      const page = await ask(listeners, { limit: 1, ...(cursor ? { cursor } : {}) }, root)
      expect(page.total).toBe(4)
      for (const each of page.listeners as { port: number; address: string; user: string }[])
        seen.push(`${each.port} ${each.address} ${each.user}`)
      if (!(cursor = page.nextCursor)) break
    }
    expect(seen).toEqual(['22 127.0.0.1 ann', '53 0.0.0.0 ann', '80 0.0.0.0 ann', '80 127.0.0.1 ann'])
    expect((await ask(listeners, {}, machine({}))).listeners).toEqual({ unavailable: expect.stringContaining('/proc/net/tcp') })
    expect(parseListeners(row('0000000000000000FFFF00000100007F', 80, '0A'), 'tcp')).toMatchObject([
      { family: 'IPv6', address: '::ffff:7f00:1' },
    ])
  })
})

describe('network_check_connectivity', () => {
  const summary = '3 packets transmitted, 2 received, 33% packet loss, time 2003ms\nrtt min/avg/max/mdev = 0.061/0.089/0.105/0.019 ms\n'
  const program = (root: string): string => `#!/bin/sh\necho "$*" >>'${root}/asked'\nprintf '%s' '${summary}'\n`
  test('asks the router, or who was named, by one command', async () => {
    const root = machine({ 'proc/net/route': 'Iface\nwlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\n' })
    mkdirSync(join(root, 'usr/bin'), { recursive: true })
    writeFileSync(join(root, 'usr/bin/ping'), program(root), { mode: 0o755 })
    expect(await ask(connectivity, {}, root)).toEqual({
      target: '192.168.0.1',
      result: { isReachable: true, sent: 3, received: 2, roundTripMs: { min: 0.061, average: 0.089, max: 0.105 } },
    })
    await ask(connectivity, { target: 'fe80::1%eth0', count: 1 }, root)
    expect(readFileSync(join(root, 'asked'), 'utf8').trim().split('\n')).toEqual([
      '-n -q -c 3 -W 2 -- 192.168.0.1',
      '-n -q -c 1 -W 2 -- fe80::1%eth0',
    ])
  })
  test('this machine answers itself; a name that is none is told with the reason', async () => {
    expect(await ask(connectivity, { target: '127.0.0.1', count: 1 })).toMatchObject({ result: { isReachable: true, received: 1 } })
    expect(await ask(connectivity, { target: 'no-such-host.invalid', count: 1 })).toMatchObject({
      result: { unavailable: expect.stringContaining('ping ended') },
    })
    expect((await ask(connectivity, {}, machine({}))).result).toEqual({ unavailable: expect.stringContaining('no default route') })
    expect(parsePing('1 packets transmitted, 0 packets received, 100% packet loss')).toEqual({ sent: 1, received: 0 })
  })
  test.each([
    '-f',
    '--flood',
    '$(reboot)',
    'a b',
    'a;b',
    '',
    '127.0.0.1 -f',
    '/etc/passwd',
    'a\nb',
    '1.2.3.4%x%y',
    'a%eth0',
    'fe80::1%-i',
    `${'a'.repeat(64)}.org`,
    'ä.org',
  ])('never asks for %j', (target) => {
    expect(isHostName(target)).toBe(false)
    expect(connectivity.input.safeParse({ target }).success).toBe(false)
    expect(resolveName.input.safeParse({ name: target }).success).toBe(false)
  })
  test.each(['example.org', 'example.org.', 'a', '_dmarc.example.org', '192.0.2.1', '::1', 'fe80::1%wlan0', 'xn--bcher-kva.example'])(
    '%s is a host',
    (target) => {
      expect(isHostName(target)).toBe(true)
    },
  )
})

describe('network_resolve_name', () => {
  /** Answers every question for `oak.example` with 192.0.2.7, and that there is no other name. */
  async function nameServer(): Promise<number> {
    const socket = createSocket('udp4').bind(0, '127.0.0.1')
    socket.on('message', (query, from) => {
      const isOak = query.includes('\x03oak\x07example')
      const end = query.indexOf(0, 12) + 5
      const header = Buffer.from([query[0]!, query[1]!, 0x81, isOak ? 0x80 : 0x83, 0, 1, 0, isOak ? 1 : 0, 0, 0, 0, 0])
      const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7])
      socket.send(Buffer.concat([header, query.subarray(12, end), ...(isOak ? [record] : [])]), from.port)
    })
    await once(socket, 'listening')
    closing.push(() => socket.close())
    return socket.address().port
  }
  test('says what the name servers say, also that there is none, or that nobody answers', async () => {
    const root = machine({ 'etc/resolv.conf': `nameserver 127.0.0.1:${await nameServer()}\n` })
    expect((await ask(resolveName, { name: 'oak.example' }, root)).answer).toEqual({ status: 'found', records: ['192.0.2.7'], leftOut: 0 })
    expect((await ask(resolveName, { name: 'elm.example' }, root)).answer).toMatchObject({ status: 'none', records: [] })
    const dead = machine({ 'etc/resolv.conf': 'nameserver 127.0.0.1:1\n' })
    expect((await ask(resolveName, { name: 'oak.example' }, dead)).answer).toEqual({
      unavailable: expect.stringContaining('no name server'),
    })
    expect((await ask(resolveName, { name: 'oak.example' }, machine({}))).answer).toEqual({
      unavailable: expect.stringContaining('/etc/resolv.conf'),
    })
  })
})

describe('network_get_wifi', () => {
  const link = 'Connected to dc:a6:32:00:00:01 (on wlan0)\n\tSSID: garden\n\tfreq: 2437\n\tsignal: -52 dBm\n\ttx bitrate: 72.2 MBit/s\n'
  test('each wireless interface, and a name that no program should see is not given to one', async () => {
    const root = machine({
      'sys/class/net/wlan0/wireless/x': '',
      'sys/class/net/-h/wireless/x': '',
      'sys/class/net/eth0/mtu': '1500',
      'usr/bin/iw': `#!/bin/sh\n[ "$*" = "dev wlan0 link" ] || exit 3\nprintf '%s' '${link}'\n`,
    })
    expect((await ask(wifi, {}, root)).interfaces).toEqual([
      { name: '-h', link: { unavailable: expect.stringContaining('cannot be given') } },
      {
        name: 'wlan0',
        link: {
          isConnected: true,
          ssid: 'garden',
          accessPoint: 'dc:a6:32:00:00:01',
          frequencyMhz: 2437,
          signalDbm: -52,
          transmitMbps: 72.2,
        },
      },
    ])
    expect(parseIwLink('Not connected.\n')).toEqual({ isConnected: false })
    expect(isInterfaceName('wlan0')).toBe(true)
    expect((await ask(wifi, {}, machine({ 'sys/class/net/eth0/mtu': '' }))).interfaces).toEqual({
      unavailable: 'this machine has no wireless interface',
    })
  })
})

describe('system_get_capabilities', () => {
  test('says of each thing what is there and what is missing', async () => {
    const root = machine({
      'dev/gpiochip0': '',
      'dev/i2c-1': '',
      'dev/video0': '',
      'usr/bin/rpicam-still': '#!/bin/sh\n',
      'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
      'sys/class/thermal/thermal_zone0/temp': '40000\n',
    })
    const byName = Object.fromEntries((await ask(capabilities, {}, root)).capabilities.map((each) => [each.name, each]))
    expect(byName['helper']).toEqual({ name: 'helper', isAvailable: false, found: [], missing: ['none here'] })
    expect(byName['gpio']).toMatchObject({ isAvailable: true, found: ['/dev/gpiochip0', 'python3'] })
    expect(byName['camera']).toMatchObject({ isAvailable: true, found: expect.arrayContaining(['rpicam-still', '/dev/video0']) })
    expect(byName['temperature']).toMatchObject({ isAvailable: true, found: ['cpu-thermal'] })
    expect(byName['wifi']).toMatchObject({ isAvailable: false })
    expect(byName['services']).toMatchObject({ isAvailable: false, missing: ['systemd does not run this machine'] })
  })
  test('holds for this machine', async () => {
    const names = (await capabilitiesOf(needsOf(''))).map(({ name }) => name)
    expect(names).toEqual(['helper', 'gpio', 'i2c', 'camera', 'temperature', 'throttling', 'wifi', 'ping', 'services', 'journal'])
  })
})
