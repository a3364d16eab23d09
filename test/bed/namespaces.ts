// Two machines behind routers of their own that translate addresses and let nothing in unasked, and a public place between them: network namespaces of Linux.
// Imports nothing of the program: what is proved with it is seen from outside.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Why it cannot be built here, with these tools besides; undefined when it can. */
export function obstacle(...tools: readonly string[]): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux'
  if (process.getuid?.() !== 0) return 'only root may make network namespaces'
  for (const tool of ['ip', 'nft', 'tcpdump', ...tools]) if (!isThere(tool)) return `${tool} is not installed`
  try {
    const probe = `flprobe${process.pid}`
    ip('netns', 'add', probe)
    try {
      inside(probe, [
        'nft',
        'add table inet t; add chain inet t c { type nat hook postrouting priority 100; }; add rule inet t c masquerade',
      ])
    } finally {
      ip('netns', 'del', probe)
    }
    return undefined
  } catch (error) {
    return `no namespace with address translation can be made: ${String((error as { stderr?: Buffer }).stderr ?? error).trim()}`
  }
}

function isThere(tool: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(`${folder}/${tool}`))
}

export function ip(...words: readonly string[]): void {
  execFileSync('ip', words, { stdio: 'pipe' })
}

/** Runs a command in a namespace to its end. */
export function inside(name: string, argv: readonly [string, ...string[]]): string {
  return execFileSync('ip', ['netns', 'exec', name, ...argv], { stdio: 'pipe', encoding: 'utf8' })
}

export type Side = 'box' | 'mac'

export interface Lab {
  /** Names of namespaces. */
  readonly public: string
  readonly box: string
  readonly mac: string
  /** The router of a side, as a namespace: `in` and `out` are its ends. */
  router(side: Side): string
  /** Of the public place. */
  readonly publicAddress: string
  /** Takes the cable of a side out, or puts it in again. */
  cable(side: Side, isIn: boolean): void
  /** Lets a side's router swallow everything, or not any more. */
  swallow(side: Side, isSwallowing: boolean): void
  /** Gives a side's machine another address. */
  move(side: Side): void
  close(): void
}

/** Builds it all; `close` takes it away again. */
export function createLab(): Lab {
  const id = `fl${process.pid}`
  const place = { public: `${id}-pub`, box: `${id}-box`, mac: `${id}-mac`, 'box-nat': `${id}-bn`, 'mac-nat': `${id}-mn` }
  const made: string[] = []
  const close = (): void => {
    for (const name of made.splice(0)) ip('netns', 'del', name)
  }
  try {
    for (const name of Object.values(place)) {
      ip('netns', 'add', name)
      made.push(name)
      ip('-n', name, 'link', 'set', 'lo', 'up')
    }
    ip('-n', place.public, 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0')
    ip('-n', place.public, 'addr', 'add', '203.0.113.1/24', 'dev', 'br0')
    ip('-n', place.public, 'link', 'set', 'br0', 'up')
    wire(place.public, place['box-nat'], place.box, { side: 'box', net: 1 })
    wire(place.public, place['mac-nat'], place.mac, { side: 'mac', net: 2 })
  } catch (error) {
    close()
    throw error
  }
  const last = { box: 2, mac: 2 }
  return {
    public: place.public,
    box: place.box,
    mac: place.mac,
    router: (side) => place[`${side}-nat`],
    publicAddress: '203.0.113.1',
    cable: (side, isIn) => ip('-n', place.public, 'link', 'set', `to-${side}`, isIn ? 'up' : 'down'),
    swallow(side, isSwallowing) {
      inside(place[`${side}-nat`], ['nft', isSwallowing ? 'add rule inet lab cut drop' : 'flush chain inet lab cut'])
    },
    move(side) {
      const net = side === 'box' ? 1 : 2
      const before = last[side]
      last[side] = before === 200 ? 2 : before + 1
      ip('-n', place[side], 'addr', 'del', `10.${net}.0.${before}/24`, 'dev', 'eth0')
      ip('-n', place[side], 'addr', 'add', `10.${net}.0.${last[side]}/24`, 'dev', 'eth0')
      ip('-n', place[side], 'route', 'replace', 'default', 'via', `10.${net}.0.1`)
    },
    close,
  }
}

function wire(hub: string, router: string, machine: string, { side, net }: { side: Side; net: number }): void {
  ip('link', 'add', `to-${side}`, 'netns', hub, 'type', 'veth', 'peer', 'name', 'out', 'netns', router)
  ip('link', 'add', 'in', 'netns', router, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', machine)
  ip('-n', hub, 'link', 'set', `to-${side}`, 'master', 'br0', 'up')
  ip('-n', router, 'addr', 'add', `203.0.113.${10 + net}/24`, 'dev', 'out')
  ip('-n', router, 'addr', 'add', `10.${net}.0.1/24`, 'dev', 'in')
  ip('-n', router, 'link', 'set', 'out', 'up')
  ip('-n', router, 'link', 'set', 'in', 'up')
  ip('-n', machine, 'addr', 'add', `10.${net}.0.2/24`, 'dev', 'eth0')
  ip('-n', machine, 'link', 'set', 'eth0', 'up')
  ip('-n', machine, 'route', 'add', 'default', 'via', `10.${net}.0.1`)
  inside(router, ['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
  inside(router, [
    'nft',
    `add table inet lab
     add chain inet lab cut { type filter hook prerouting priority -300; }
     add chain inet lab forward { type filter hook forward priority 0; policy drop; }
     add rule inet lab forward iifname "in" accept
     add rule inet lab forward ct state established,related accept
     add chain inet lab input { type filter hook input priority 0; policy drop; }
     add rule inet lab input ct state established,related accept
     add rule inet lab input icmp type echo-request accept
     add chain inet lab out { type nat hook postrouting priority 100; }
     add rule inet lab out oifname "out" masquerade`,
  ])
}

/** Runs a command in a namespace, with exactly this environment. */
export function spawnInside(name: string, argv: readonly string[], env: Readonly<Record<string, string>>) {
  return spawn('ip', ['netns', 'exec', name, ...argv], { env: { ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
}
