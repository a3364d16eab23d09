// A TCP balancer, as plain as they come: connections go to the servers in turn, past those that take none.
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import { later } from './cleanup.ts'

/** Its port on loopback. */
export async function balancer(ports: readonly number[]): Promise<number> {
  const sockets = new Set<Socket>()
  let turn = 0
  const track = (socket: Socket): Socket => {
    sockets.add(socket)
    return socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket))
  }
  const join = (client: Socket, left: number): void => {
    const server = connect(ports[turn++ % ports.length]!, '127.0.0.1')
    let isJoined = false
    server.once('connect', () => {
      isJoined = true
      client.pipe(track(server)).pipe(client)
      client.once('close', () => server.destroy())
      server.once('close', () => client.destroy())
    })
    server.on('error', () => {
      if (!isJoined && left > 1) join(client, left - 1)
      else client.destroy()
    })
  }
  const server = createServer((client) => join(track(client), ports.length))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  later(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}
