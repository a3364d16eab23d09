// libp2p as it comes (TCP, Noise, Yamux), a question and an answer on one open stream: what no cache over it can be faster than. `serve SIZE` prints its address; `ask ADDRESS COUNT SIZE` the times, in ms.
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const [role, ...words] = process.argv.slice(2)
const protocol = '/bare/1'
const question = new Uint8Array(100)
const node = await createLibp2p({
  addresses: { listen: role === 'serve' ? ['/ip4/127.0.0.1/tcp/0'] : [] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
})

if (role === 'serve') {
  const answer = new Uint8Array(Number(words[0]))
  await node.handle(protocol, (stream) => {
    let asked = 0
    stream.addEventListener('message', ({ data }) => {
      for (asked += data.byteLength; asked >= question.length; asked -= question.length) stream.send(answer)
    })
  })
  process.stdout.write(`${node.getMultiaddrs()[0]?.toString()}\n`)
} else {
  const [address, count, size] = words
  const stream = await node.dialProtocol(multiaddr(address), protocol)
  let [missing, done] = [0, () => {}]
  stream.addEventListener('message', ({ data }) => {
    missing -= data.byteLength
    if (missing <= 0) done()
  })
  const tookMs = []
  for (let n = 0; n < Number(count); n++) {
    const from = performance.now()
    await new Promise((resolve) => {
      ;[missing, done] = [Number(size), resolve]
      stream.send(question)
    })
    tookMs.push(performance.now() - from)
  }
  process.stdout.write(`${JSON.stringify(tookMs)}\n`)
  process.exit()
}
