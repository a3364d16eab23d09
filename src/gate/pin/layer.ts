// The pin layer: lists show only tools whose definition was accepted, and calls reach no other; a tool that was not seen listed is looked for first.
import type { Clock } from '../../kernel/clock.ts'
import { type Exchange, type Handler, type Layer, type Out, type Outcome, through } from '../../base/mcp/exchange.ts'
import { meta } from '../../base/mcp/protocol.ts'
import { ownId } from '../../base/mcp/leg/ask.ts'
import { type Frame, splice, stringAt, token } from '../../base/wire/frame.ts'
import { elements, locate } from '../../base/wire/locate.ts'
import { rescan } from '../../base/wire/scan.ts'
import { fault } from '../faults.ts'
import type { Tool, UpstreamPins } from './pins.ts'

export type PinLayerNeeds = {
  readonly pins: UpstreamPins
  readonly upstream: string
  /** The server as it is now: another value once a reload has put another one in its place. */
  readonly server: () => unknown
  readonly clock: Clock
  /** Records the refusal before the client hears of it. */
  refused(exchange: Exchange, reason: string): Promise<void>
}

/** A layer, and how it learns that a session's server has another list now. */
export type PinLayer = { readonly layer: Layer; readonly listChanged: (session: string) => void }

/** A list is asked for again after so long, even when the server did not say that it changed. */
const freshMs = 5 * 60_000
/** A tool that was in no list is looked for again after so long. */
const againMs = 1_000
const maxPages = 50
const fetchMs = 15_000
const maxViews = 10_000

/** When a whole list was seen last, in monotonic milliseconds, of which server, and the fingerprints of the tools that were held back of it. */
type View = { readonly atMs: number; readonly server: unknown; readonly held: ReadonlyMap<string, string> }

/** Whose view of the server: each session may have a process of its own, stateless clients share one. */
function viewOf({ session, principal }: Exchange): string {
  return session ? `session ${session.id}` : `principal ${principal.name}`
}

export function pinLayer({ pins, upstream, server, clock, refused }: PinLayerNeeds): PinLayer {
  const views = new Map<string, View>()
  const fetching = new Map<string, Promise<Outcome | undefined>>()
  let changes = 0
  const changed = (view: string): void => {
    changes++
    const present = views.get(view)
    if (present) views.set(view, { ...present, atMs: -Infinity })
  }

  const wholeListSeen = (exchange: Exchange, tools: readonly Tool[], from: unknown): void => {
    const view = viewOf(exchange)
    views.delete(view)
    if (views.size >= maxViews) views.delete(views.keys().next().value!) // it looks again
    views.set(view, { atMs: clock.mono(), server: from, held: pins.complete(tools) })
  }
  const isFresh = (exchange: Exchange, tool: string): boolean => {
    const view = views.get(viewOf(exchange))
    return view !== undefined && view.server === server() && clock.mono() - view.atMs < (pins.hasSeen(tool) ? freshMs : againMs)
  }
  const fetched = (exchange: Exchange, next: Handler): Promise<Outcome | undefined> => {
    const view = viewOf(exchange)
    const running = fetching.get(view)
    if (running) return running
    const before = changes
    const from = server()
    const made = fetchList(exchange, next, { pins, clock, upstream })
      .then((found) => {
        if ('is' in found) return found
        if (changes === before) wholeListSeen(exchange, found, from)
        return pins.saved().then(() => undefined)
      })
      .finally(() => fetching.delete(view))
    fetching.set(view, made)
    return made
  }

  const list = async (exchange: Exchange, out: Out, next: Handler): Promise<Outcome> => {
    const from = server()
    const isWhole = locate(exchange.frame.bytes, exchange.frame.at.params, 'cursor') === undefined
    const seen = (tools: readonly Tool[], isLast: boolean): void => {
      if (isWhole && isLast) wholeListSeen(exchange, tools, from)
    }
    const outcome = await next(exchange, filtered(out, pins, seen))
    await pins.saved()
    return outcome
  }
  const refusalOf = (exchange: Exchange, tool: string): string | undefined =>
    pins.refusal(tool, views.get(viewOf(exchange))?.held.get(tool))
  const refuse = async (exchange: Exchange, tool: string, reason: string): Promise<Outcome> => {
    await refused(exchange, reason)
    const hint = `whoever runs the gate can look at it and accept it: fairlead gate approve ${upstream} ${tool}`
    return { is: 'refused', reason, data: { code: 'gate.quarantined', hint } }
  }
  const callUnseen = async (exchange: Exchange, out: Out, next: Handler, tool: string): Promise<Outcome> => {
    const problem = await fetched(exchange, next)
    if (problem) return problem
    const reason = refusalOf(exchange, tool)
    return reason === undefined ? next(exchange, out) : refuse(exchange, tool, reason)
  }

  // Nothing is waited for on the way of a call of a tool that is known: it costs two looks into maps.
  const layer: Layer = (next) => (exchange, given) => {
    const { frame } = exchange
    if (frame.kind !== 'request' || !pins.isOn) return next(exchange, given)
    const out = noticing(given, () => changed(viewOf(exchange)))
    if (frame.method === 'tools/list') return list(exchange, out, next)
    const tool = frame.method === 'tools/call' ? stringAt(frame, frame.at.name) : undefined
    if (tool === undefined) return next(exchange, out)
    if (!isFresh(exchange, tool)) return callUnseen(exchange, out, next, tool)
    const reason = refusalOf(exchange, tool)
    return reason === undefined ? next(exchange, out) : refuse(exchange, tool, reason)
  }
  return { layer, listChanged: (session) => changed(`session ${session}`) }
}

/** Looks at every tool of a result, and cuts out of it what may not be shown; what stays, stays byte for byte. */
function filtered(out: Out, pins: UpstreamPins, seen: (tools: readonly Tool[], isLast: boolean) => void): Out {
  return through(out, (frame) => {
    const span = frame.kind === 'result' ? toolsIn(frame) : undefined
    if (!span) return out.write(frame)
    const all = elements(frame.bytes, span)
    const { tools, shown } = pins.look(frame.bytes, all)
    seen(tools, cursorIn(frame) === undefined)
    if (shown.length === all.length) return out.write(frame)
    const text = `[${shown.map((element) => token(frame, element)).join(',')}]`
    return out.write(splice(frame, [{ span, with: Buffer.from(text) }]))
  })
}

/** A pipe does not say to which request such a notification belongs, so it may come with any. */
function noticing(out: Out, changed: () => void): Out {
  return through(out, (frame) => {
    if (isListChanged(frame)) changed()
    return out.write(frame)
  })
}

/** True when the server says that its tools are others now. */
export function isListChanged(frame: Frame): boolean {
  return frame.method === 'notifications/tools/list_changed'
}

function toolsIn(frame: Frame) {
  const span = locate(frame.bytes, frame.at.result, 'tools')
  return span && frame.bytes[span[0]] === 0x5b ? span : undefined
}

function cursorIn(frame: Frame): string | undefined {
  return stringAt(frame, locate(frame.bytes, frame.at.result, 'nextCursor'))
}

/** Looks at the whole list, page by page: its tools, or how the call that needed it ends when the list cannot be had. A server that refuses to list has no definitions to pin. */
async function fetchList(
  exchange: Exchange,
  next: Handler,
  { pins, clock, upstream }: { readonly pins: UpstreamPins; readonly clock: Clock; readonly upstream: string },
): Promise<readonly Tool[] | Outcome> {
  const late = new AbortController()
  const cancel = clock.after(fetchMs, () => late.abort())
  try {
    const tools: Tool[] = []
    let cursor: string | undefined
    for (let page = 0; page < maxPages; page++) {
      let answer: Frame | undefined
      const out: Out = {
        write(frame) {
          if (frame.kind === 'result' || frame.kind === 'error') answer = frame
          return true
        },
        room: () => Promise.resolve(),
      }
      const outcome = await next(listExchange(exchange, cursor, late.signal), out)
      if (!answer && outcome.is === 'refused') return outcome
      if (!answer) return outcome.is === 'notSent' ? outcome : unlisted(upstream, 'it did not answer')
      const span = toolsIn(answer)
      if (span) tools.push(...pins.look(answer.bytes, elements(answer.bytes, span)).tools)
      cursor = cursorIn(answer)
      if (cursor === undefined) return tools
    }
    return unlisted(upstream, `its list has more than ${maxPages} pages`)
  } finally {
    cancel()
  }
}

function unlisted(upstream: string, reason: string): Outcome {
  return { is: 'notSent', fault: fault.tools_unlisted({ upstream, reason }) }
}

/** The same client's question for a page of the list, in its era. */
function listExchange(exchange: Exchange, cursor: string | undefined, abort: AbortSignal): Exchange {
  const { frame, era, headers } = exchange
  const envelope = [meta.protocolVersion, meta.clientCapabilities, meta.clientInfo].flatMap((name) => {
    const span = frame.at.inMeta?.[name]
    return span ? [`${JSON.stringify(name)}:${token(frame, span)}`] : []
  })
  const params = [
    ...(cursor === undefined ? [] : [`"cursor":${JSON.stringify(cursor)}`]),
    ...(era === 'modern' ? [`"_meta":{${envelope.join(',')}}`] : []),
  ]
  const asking = rescan(Buffer.from(`{"jsonrpc":"2.0","id":${ownId()},"method":"tools/list","params":{${params.join(',')}}}`))
  const isMirrored = Object.hasOwn(headers, 'mcp-method')
  const version = headers['mcp-protocol-version']
  const own = {
    ...(version === undefined ? {} : { 'mcp-protocol-version': version }),
    ...(isMirrored ? { 'mcp-method': 'tools/list' } : {}),
  }
  return { ...exchange, frame: asking, headers: own, abort }
}
