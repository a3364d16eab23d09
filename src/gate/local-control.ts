// How an operator reaches the gate that runs: a socket in its state folder that only its owner can open, one JSON-RPC request a line.
import { join } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { Fault, type FaultKind, asFault, outside } from '../kernel/fault.ts'
import { errorFrame, errorOf, idToken, paramsOf, resultFrame, resultOf } from '../base/mcp/message.ts'
import type { Frame } from '../base/wire/frame.ts'
import { scan } from '../base/wire/scan.ts'
import { connectUnix, listenUnix, unixServer } from '../base/wire/unix.ts'
import type { Wire } from '../base/wire/wire.ts'
import { fault } from './faults.ts'

/** What the gate does when it is asked; params and results are JSON. */
export type Operations = Readonly<Record<string, (params: Readonly<Record<string, unknown>>) => unknown>>

function socketIn(folder: string): string {
  return join(folder, 'control.sock')
}

/** Serves the operations to whoever may open the socket. Faults `socket.busy`, `socket.cannot_listen`. */
export async function openControl(folder: string, operations: Operations): Promise<AsyncDisposable> {
  const wires = new Set<Wire>()
  const answer = async (request: Frame): Promise<Frame> => {
    const id = idToken(request)
    const { method } = request
    try {
      if (method === undefined || !Object.hasOwn(operations, method)) throw fault.unknown_operation({ method: method ?? '' })
      return resultFrame(id, (await operations[method]!(paramsOf(request))) ?? {})
    } catch (error) {
      const { code, kind, message, hint } = asFault(error)
      return errorFrame(id, outside[kind].rpcCode, message, { code, kind, hint })
    }
  }
  const server = unixServer((wire) => {
    wires.add(wire)
    void wire.ended.then(() => wires.delete(wire))
    wire.read({
      write(frame) {
        if (frame.kind === 'request') void answer(frame).then((reply) => wire.write(reply))
        return true
      },
      room: () => Promise.resolve(),
    })
  })
  await listenUnix(server, socketIn(folder))
  return {
    async [Symbol.asyncDispose]() {
      server.close()
      await Promise.all([...wires].map((wire) => wire.close()))
    },
  }
}

const answerWithinMs = 10_000

/** Asks the gate whose state is in `folder`. Faults: `gate.not_running`, and whatever the gate answers. */
export async function askGate(
  { clock, folder }: { readonly clock: Clock; readonly folder: string },
  method: string,
  params: Readonly<Record<string, unknown>> = {},
): Promise<Record<string, unknown>> {
  const path = socketIn(folder)
  const wire = await connectUnix(path).catch((error: unknown) => {
    throw fault.not_running({ path }, error)
  })
  const { promise, resolve, reject } = Promise.withResolvers<Frame>()
  const gone = (): void => reject(fault.not_running({ path }))
  const cancel = clock.after(answerWithinMs, gone)
  try {
    wire.read({ write: (frame) => (resolve(frame), true), room: () => Promise.resolve() })
    void wire.ended.then(gone)
    wire.write(scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }))))
    const reply = await promise
    const result = resultOf(reply)
    if (result) return result
    throw faultIn(reply)
  } finally {
    cancel()
    await wire.close()
  }
}

function faultIn(reply: Frame): Fault {
  const { message, data } = errorOf(reply)
  const { code, kind, hint } = (data ?? {}) as { code?: string; kind?: FaultKind; hint?: string }
  return new Fault(code ?? 'gate.unknown', { kind: kind ?? 'unavailable', message, ...(hint === undefined ? {} : { hint }) })
}
