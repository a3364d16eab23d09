// Says when a path is there again, knowing nothing of the program: `udp HOST PORT` asks the echo of `echo PORT`, `tcp HOST PORT` whoever listens. For each line on
// stdin it asks every 4 ms until the first answer to what was asked since, and prints the time of that.
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

const [, , way, ...where] = process.argv
const port = Number(where.at(-1))
const now = () => performance.timeOrigin + performance.now()
let round = 0
let asking
const answered = (of) => {
  if (of !== round || !asking) return
  clearInterval(asking)
  asking = undefined
  process.stdout.write(`${now()}\n`)
}
const socket = way === 'tcp' ? undefined : createSocket('udp4')
socket?.on('error', () => {}) // no network, and no route: it is asked again
const ask = {
  udp: () => socket.send(String(round), port, where[0], () => {}),
  tcp() {
    const of = round
    const knock = connect({ host: where[0], port }, () => (answered(of), knock.destroy()))
    knock.on('error', () => {})
    setTimeout(() => knock.destroy(), 100)
  },
}[way]

if (way === 'echo') {
  socket.on('message', (message, from) => socket.send(message, from.port, from.address, () => {}))
  socket.bind(port, () => process.stdout.write('ready\n'))
} else {
  socket?.on('message', (message) => answered(Number(message)))
  process.stdout.write('ready\n')
  for await (const _ of createInterface({ input: process.stdin })) {
    round++
    clearInterval(asking)
    asking = setInterval(() => ask(), 4)
  }
}
