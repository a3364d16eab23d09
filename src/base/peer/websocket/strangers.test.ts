// Strangers: libp2p's own WebSockets, dialling us and dialled by us, through Noise and Yamux.
import { once } from 'node:events'
import { noise } from '@libp2p/noise'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { createIdentity } from '../../identity/identity.ts'
import { createPeerHost } from '../host/host.ts'

const protocol = '/fairlead/test/1'
const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

const host = async (listen: readonly string[]) => {
  const made = await createPeerHost({ identity: createIdentity(), log: silentLog, clock: systemClock }, { listen })
  open.push(made)
  return made
}
const stranger = async (listen: string[]) => {
  const stack = { transports: [webSockets()], connectionEncrypters: [noise()], streamMuxers: [yamux()] }
  const made = await createLibp2p({ ...stack, addresses: { listen } })
  open.push({ close: () => made.stop() })
  return made
}

test('it listens, and we dial', async () => {
  const there = await stranger(['/ip4/127.0.0.1/tcp/0/ws'])
  await there.handle(protocol, (stream) => stream.addEventListener('message', ({ data }) => stream.send(data)))
  const address = there.getMultiaddrs()[0]!.toString()
  expect(address).toContain('/ws')
  const stream = await (await host([])).dial(there.peerId.toString(), [address], protocol)
  stream.duplex.write('to a stranger')
  expect(String((await once(stream.duplex, 'data'))[0])).toBe('to a stranger')
})

test('we listen, and it dials', async () => {
  const here = await host(['/ip4/127.0.0.1/tcp/0/ws'])
  here.handle(protocol, (stream) => void stream.duplex.pipe(stream.duplex))
  const there = await stranger([])
  const stream = await there.dialProtocol(multiaddr(here.addresses()[0]), protocol)
  const heard = new Promise<string>((resolve) =>
    stream.addEventListener('message', ({ data }) => resolve(Buffer.from(data.subarray()).toString())),
  )
  stream.send(Buffer.from('from a stranger'))
  expect(await heard).toBe('from a stranger')
})
