// The least that answers on a UNIX socket: each line comes back as it was. `node echo-unix.mjs SOCKET`
import { createServer } from 'node:net'
import process from 'node:process'

createServer((peer) => {
  let rest = ''
  peer.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    for (const line of lines) peer.write(`${line}\n`)
  })
  peer.on('error', () => {})
}).listen(process.argv[2])
