// A stranger on the way: passes bytes on between a port and an address, but changes one byte of every handshake.
//   meddler.ts PORT HOST PORT
import { connect, createServer } from 'node:net'
import process from 'node:process'

const [port, host, to] = process.argv.slice(2)

/** Among what a client sends: 28 bytes that name the protocols, 2 of length, then its key of 32 (Noise, handshake pattern XX). */
const place = 28 + 2 + 16

createServer((near) => {
  const far = connect(Number(to), host)
  let passed = 0
  near.on('data', (chunk: Buffer) => {
    const at = place - passed
    if (at >= 0 && at < chunk.length) chunk[at]! ^= 1
    passed += chunk.length
    far.write(chunk)
  })
  far.on('data', (chunk) => near.write(chunk))
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    one.on('error', () => {})
    one.on('close', () => other.destroy())
  }
}).listen(Number(port), () => process.stdout.write('meddling\n'))
