// What every question to a registry goes through: its key is pinned when it is first met, questions follow each other, and what goes wrong is told in its name.
import { Fault, asFault } from '../../kernel/fault.ts'
import { type Clock, deadline } from '../../kernel/clock.ts'
import type { PeerHost, PeerStream } from '../../base/peer/host/host.ts'
import { fault } from '../faults.ts'
import { jsonFrame, readJson } from '../json-frames.ts'
import { type KnownRegistries, type Server, serverAddress, serverText } from './known-registries.ts'
import type { Refusal } from '../request-loop.ts'

const answerMs = 10_000

export type RegistryDialNeeds = { readonly host: Pick<PeerHost, 'dial'>; readonly clock: Clock; readonly known: KnownRegistries }

/** A stream to the registry that was met before, or is met now. Faults: `reach.registry_unreachable`, `reach.registry_key_changed`. */
export async function dialRegistry(
  { host, clock, known }: RegistryDialNeeds,
  server: Server,
  protocol: string,
  signal?: AbortSignal,
): Promise<PeerStream> {
  const name = serverText(server)
  let stream: PeerStream
  try {
    stream = await host.dial(undefined, [serverAddress(server)], protocol, deadline(clock, answerMs, signal))
  } catch (error) {
    throw fault.registry_unreachable({ server: name, problem: problemOf(error) }, error)
  }
  const pinned = known.keyOf(server)
  if (pinned !== undefined && pinned !== stream.remotePeer) {
    stream.abort('connection')
    throw fault.registry_key_changed({ server: name, pinned, found: stream.remotePeer, file: known.path })
  }
  if (pinned === undefined) known.pin(server, stream.remotePeer)
  return stream
}

function problemOf(error: unknown): string {
  const told = error instanceof Fault ? error.details['problem'] : undefined
  return typeof told === 'string' ? told : (error as Error).message
}

type Named = { readonly name: string; readonly clock: Clock; readonly maxAnswerBytes: number }

/**
 * Asks on an open stream, one request after the other; `moreMs` is how much longer than 10 s this answer may take. Faults: `reach.registry_refused`,
 * `reach.registry_unreachable`, and those of `read`.
 */
export function exchangesOn<Answer>(
  stream: PeerStream,
  { name, clock, maxAnswerBytes }: Named,
  read: (value: unknown) => { readonly ok: Answer } | { readonly refused: Refusal },
): (request: unknown, moreMs?: number) => Promise<Answer> {
  const answers = readJson(stream.duplex, maxAnswerBytes)
  let turn: Promise<unknown> = Promise.resolve()

  const exchange = async (request: unknown, moreMs: number): Promise<Answer> => {
    const cancel = clock.after(answerMs + moreMs, () => stream.abort())
    try {
      stream.duplex.write(jsonFrame(request))
      const next = await answers.next()
      if (next.done) throw fault.registry_unreachable({ server: name, problem: 'it closed the connection' })
      const answer = read(next.value)
      if ('ok' in answer) return answer.ok
      const { code, message, known } = answer.refused
      throw fault.registry_refused({ server: name, code, message, known })
    } catch (error) {
      const found = asFault(error)
      if (found.code.startsWith('reach.')) throw found
      throw fault.registry_unreachable({ server: name, problem: found.message.replace(/^unexpected: /, '') }, error)
    } finally {
      cancel()
    }
  }
  return (request, moreMs = 0) => {
    const answer = turn.then(() => exchange(request, moreMs))
    turn = answer.catch(() => {})
    return answer
  }
}
