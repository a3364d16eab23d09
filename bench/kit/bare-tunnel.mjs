// The least that two Node processes between a client and a server can do: pipes to a socket and back, nothing checked, nothing encrypted. `connect PORT` or `serve PORT COMMAND…`.
import { spawn } from 'node:child_process'
import { connect, createServer } from 'node:net'

const [role, port, command, ...args] = process.argv.slice(2)
const address = { port: Number(port), host: '127.0.0.1', noDelay: true }

if (role === 'connect') {
  const socket = connect(address)
  process.stdin.pipe(socket).pipe(process.stdout)
  socket.on('close', () => process.exit())
} else {
  createServer({ noDelay: true }, (socket) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    socket.pipe(child.stdin)
    child.stdout.pipe(socket)
    socket.on('error', () => child.kill())
    socket.on('close', () => child.kill())
  }).listen(address.port, address.host)
}
