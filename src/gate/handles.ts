// What a server hands a client to come back with (the id of a task, the state of a call that asks) is good for the principal it was handed to, and for nobody else: a server that
// sees one token for all cannot tell them apart.
import { hash } from 'node:crypto'
import { asFault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { Bucket, Revision } from '../base/kv/kv.ts'
import { type Exchange, type Layer, type Outcome, through } from '../base/mcp/exchange.ts'
import { paramsOf } from '../base/mcp/message.ts'
import { code } from '../base/mcp/protocol.ts'
import { type Frame, splice, stringAt, token } from '../base/wire/frame.ts'
import { elements, locate } from '../base/wire/locate.ts'

type Kind = 'task' | 'state'
/** Not a string where one must be: nobody was handed that. */
type Handle = { readonly kind: Kind; readonly value: string | undefined }

/** Remembered for each principal; the oldest is nobody's then. */
const maxPerPrincipal = 1_000

export type HandlesNeeds = { readonly bucket: Bucket; readonly log: Log }

export class Handles {
  readonly #needs: HandlesNeeds
  /** By principal: what it was handed, the oldest first, and the revision under which that is kept. */
  readonly #all = new Map<string, Map<string, Promise<Revision | undefined>>>()

  constructor(needs: HandlesNeeds) {
    this.#needs = needs
  }

  /** Reads what earlier processes handed on. Called before anything else; fault `kv.unavailable`. */
  async load(): Promise<void> {
    const kept = await Array.fromAsync(this.#needs.bucket.list())
    for (const { key, value, revision } of kept.toSorted((a, b) => a.revision - b.revision))
      this.#of(Buffer.from(value).toString('utf8')).set(key, Promise.resolve(revision))
  }

  /** Takes what other gates hand on; they forget what they must. */
  async follow(signal: AbortSignal): Promise<void> {
    for await (const change of this.#needs.bucket.watch(signal)) {
      if (change.is === 'set') {
        const own = this.#of(Buffer.from(change.entry.value).toString('utf8'))
        if (!own.has(change.entry.key)) own.set(change.entry.key, Promise.resolve(change.entry.revision))
      } else if (change.is === 'deleted') {
        for (const own of this.#all.values()) own.delete(change.key)
      }
    }
  }

  /** Notes that this upstream has handed it to this principal. */
  note(principal: string, upstream: string, { kind, value }: Handle): void {
    if (value === undefined) return
    const own = this.#of(principal)
    const key = keyOf(principal, upstream, kind, value)
    if (own.has(key)) return
    own.set(key, this.#save(key, principal))
    if (own.size <= maxPerPrincipal) return
    const [oldest, revision] = own.entries().next().value!
    own.delete(oldest)
    void this.#remove(oldest, revision)
  }

  isOf(principal: string, upstream: string, { kind, value }: Handle): boolean {
    return value !== undefined && (this.#all.get(principal)?.has(keyOf(principal, upstream, kind, value)) ?? false)
  }

  #of(principal: string): Map<string, Promise<Revision | undefined>> {
    let own = this.#all.get(principal)
    if (!own) this.#all.set(principal, (own = new Map()))
    return own
  }

  /** Never rejects: what cannot be kept is good until the gate ends. */
  async #save(key: string, principal: string): Promise<Revision | undefined> {
    try {
      return await this.#needs.bucket.create(key, Buffer.from(principal))
    } catch (error) {
      this.#needs.log.warn('gate.handle.unsaved', { principal, error: asFault(error) })
      return undefined
    }
  }

  async #remove(key: string, saved: Promise<Revision | undefined>): Promise<void> {
    const revision = await saved
    if (revision !== undefined) await this.#needs.bucket.delete(key, revision).catch(() => {}) // it is the oldest at the next start, too
  }
}

/** By the principal too: two processes of one server may well count alike. */
function keyOf(principal: string, upstream: string, kind: Kind, value: string): string {
  return hash('sha256', JSON.stringify([principal, upstream, kind, value]), 'base64url')
}

export type HandleLayerNeeds = {
  readonly handles: Handles
  readonly upstream: string
  /** Records the refusal before the client hears of it. */
  refused(exchange: Exchange, reason: string): Promise<void>
}

export function handleLayer({ handles, upstream, refused }: HandleLayerNeeds): Layer {
  const refuse = async (exchange: Exchange, kind: Kind): Promise<Outcome> => {
    const { principal, frame, era } = exchange
    const reason = `${principal.name} was handed no such ${kind === 'task' ? 'task' : 'requestState'} by ${upstream}`
    await refused(exchange, reason)
    if (era === 'modern' && frame.method === 'tasks/result') return { is: 'refused', reason, code: code.methodNotFound, status: 404 } // 2026-07-28 has none
    return { is: 'refused', reason, code: code.invalidParams, data: { reason: `invalid_${kind === 'task' ? 'task' : 'request_state'}` } }
  }
  return (next) => async (exchange, out) => {
    const { frame, principal } = exchange
    if (frame.kind !== 'request') return next(exchange, out)
    const isOf = (handle: Handle): boolean => handles.isOf(principal.name, upstream, handle)
    const foreign = shownIn(frame).find((handle) => !isOf(handle))
    if (foreign) return refuse(exchange, foreign.kind)
    return next(
      exchange,
      through(out, (incoming) => {
        const handed = incoming.kind === 'result' ? handedIn(frame, incoming) : undefined
        if (handed) handles.note(principal.name, upstream, handed)
        return out.write(frame.method === 'tasks/list' ? onlyOwn(incoming, isOf) : incoming)
      }),
    )
  }
}

/** What a request comes back with. */
function shownIn(frame: Frame): readonly Handle[] {
  const { requestState, taskId } = frame.at
  if (requestState) return [{ kind: 'state', value: stringAt(frame, requestState) }]
  if (taskId && frame.method!.startsWith('tasks/')) return [{ kind: 'task', value: stringAt(frame, taskId) }]
  if (frame.method !== 'subscriptions/listen') return []
  const { taskIds = [] } = (paramsOf(frame)['notifications'] ?? {}) as { readonly taskIds?: unknown }
  return (Array.isArray(taskIds) ? taskIds : [taskIds]).map((id) => ({ kind: 'task', value: typeof id === 'string' ? id : undefined }))
}

/** The task that a request began (2025-11-25: it was asked to; the tasks extension: by the result's type), or the state of a question. */
function handedIn(request: Frame, answer: Frame): Handle | undefined {
  const text = (...names: string[]): string | undefined => stringAt(answer, locate(answer.bytes, answer.at.result, ...names))
  if (request.at.task) return { kind: 'task', value: text('task', 'taskId') }
  const type = stringAt(answer, answer.at.resultType)
  if (type === 'task') return { kind: 'task', value: text('taskId') }
  return type === 'input_required' ? { kind: 'state', value: text('requestState') } : undefined
}

function onlyOwn(answer: Frame, isOf: (handle: Handle) => boolean): Frame {
  const span = locate(answer.bytes, answer.at.result, 'tasks')
  if (!span || answer.bytes[span[0]] !== 0x5b) return answer
  const own = elements(answer.bytes, span).filter((element) =>
    isOf({ kind: 'task', value: stringAt(answer, locate(answer.bytes, element, 'taskId')) }),
  )
  return splice(answer, [{ span, with: Buffer.from(`[${own.map((element) => token(answer, element)).join(',')}]`) }])
}
