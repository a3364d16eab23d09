// The official client on one of our wires: lets a user's SDK speak through a socket, a tunnel or memory.
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client'
import { setImmediate as turn } from 'node:timers/promises'
import { textOf } from '../../src/base/mcp/message.ts'
import { scan } from '../../src/base/wire/scan.ts'
import type { Wire } from '../../src/base/wire/wire.ts'

/** A transport of the SDK over a wire. */
export function wireTransport(wire: Wire): Transport {
  const transport: Transport = {
    async start() {
      wire.read({
        // One message a turn: the SDK loses progress that comes in the same turn as the answer.
        write(frame) {
          transport.onmessage?.(JSON.parse(textOf(frame)) as JSONRPCMessage)
          return false
        },
        room: () => turn(),
      })
      void wire.ended.then(() => transport.onclose?.())
    },
    async send(message) {
      if (!wire.write(scan(Buffer.from(JSON.stringify(message))))) await wire.room()
    },
    close: () => wire.close(),
  }
  return transport
}
