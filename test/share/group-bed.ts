// A host and its members in one process, joined by pipes in the place of the network: each has folders, an identity and a proxy of its own.
import { mkdtemp } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Duplex, duplexPair } from 'node:stream'
import { readWalletCard } from '../../src/base/identity/wallet.ts'
import { systemClock as clock } from '../../src/kernel/clock.ts'
import { removeFolder } from '../../src/kernel/file.ts'
import { silentLog as log } from '../../src/kernel/log.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { wayAt } from '../../src/share/cluster/cluster.ts'
import type { Accept, Others, Serving } from '../../src/share/others.ts'
import { type Places, placesIn } from '../../src/share/places.ts'
import { type Proxy, type ProxySettings, openProxy, ownIdentity } from '../../src/share/proxy.ts'
import type { ApiDouble } from '../kit/api-double.ts'
import { later } from '../kit/cleanup.ts'

export type Machine = {
  readonly proxy: Proxy
  readonly joined: Error | undefined
  ask(target: string, token?: string, method?: string): Promise<{ status: number; text: string }>
  close(): Promise<void>
}

type Some = Partial<ProxySettings>
/** Longer than anything that a loaded machine makes of a moment. */
const graceMs = 20_000

export interface GroupBed {
  /** A host with the folders of the last one. */
  host(more?: Some): Promise<Machine>
  /** `port`: others may come to it. */
  member(more?: Some & { readonly listens?: number }): Promise<Machine>
  /** Breaks every stream there is. */
  cut(): void
}

export async function tempFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'group-'))
  later(() => removeFolder(folder))
  return folder
}

export async function groupBed(api: ApiDouble): Promise<GroupBed> {
  const listening = new Map<string, Accept>()
  const links = new Set<Duplex>()
  const placesFor = async (): Promise<Places> => {
    const folder = await tempFolder()
    return placesIn({ state: join(folder, 's'), runtime: join(folder, 'r') })
  }
  const serving = async ({ wallet }: Places, port: number, accept: Accept): Promise<Serving> => {
    const address = `/ip4/127.0.0.1/tcp/${port}/p2p/${readWalletCard(wallet)!.peerId}`
    listening.set(address, accept)
    return { port, addresses: () => [address], [Symbol.asyncDispose]: async () => void listening.delete(address) }
  }
  const open = async (places: Places, more: Some, others: Others): Promise<Machine> => {
    const settings = {
      api: { url: new URL(api.url), names: [] },
      maxBytes: 32 << 20,
      staleMs: 0,
      defaultTtlMs: 300_000,
      group: 'o/r',
      sharedScope: 'ci',
    }
    const proxy = await openProxy({ clock, log }, places, { ...settings, secret: new Secret('s'), ...more }, others)
    let isOpen = true
    const close = async (): Promise<void> => {
      if (isOpen) await proxy[Symbol.asyncDispose]()
      isOpen = false
    }
    later(close)
    return {
      proxy,
      close,
      joined: await proxy.joined,
      ask: (target, token = 'one', method = 'GET') => askAt(places.socket, { target, token, method }),
    }
  }
  const hostPlaces = await placesFor()
  const { peerId: hostId } = await ownIdentity(hostPlaces.wallet)
  const bootstrap = [wayAt(`/ip4/127.0.0.1/tcp/1/p2p/${hostId}`)!]
  return {
    cut: () => links.forEach((link) => link.destroy()),
    host: (more = {}) => open(hostPlaces, more, { is: 'host', serve: (accept) => serving(hostPlaces, 1, accept) }),
    async member({ listens, ...more } = {}) {
      const places = await placesFor()
      const dial = async ({ address }: { address: string }): Promise<Duplex> => {
        const accept = listening.get(address)
        if (!accept) throw new Error('nobody is there')
        const pair = duplexPair()
        for (const link of pair) links.add(link.once('close', () => links.delete(link)))
        accept(pair[1], readWalletCard(places.wallet)!.peerId, '127.0.0.1')
        return pair[0]
      }
      const serve = listens === undefined ? {} : { serve: (accept: Accept) => serving(places, listens, accept) }
      return open(places, more, { is: 'member', bootstrap, dial, graceMs, ...serve })
    },
  }
}

type Question = { readonly target: string; readonly token: string; readonly method: string }

function askAt(socketPath: string, { target, token, method }: Question): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { host: 'localhost', ...(token && { authorization: `token ${token}` }) }
    const sent = request({ socketPath, path: target, method, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode!, text }))
    })
    sent.on('error', reject).end()
  })
}
