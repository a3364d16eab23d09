// What a daemon offers: MCP servers that it answers for. It lists them and streams every change on its sockets, and does not know who takes them.
import { type IncomingMessage, type ServerResponse, request } from 'node:http'
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import { answerJson } from '../http/answer.ts'
import { socketNames } from './api.ts'

const maxOffers = 1_000
const offer = z.object({
  /** The daemon's own name for it, which stays the same for as long as it is the same server to a person. */
  id: z.string().min(1).max(128),
  /** What `address` is: the URL of a Streamable HTTP endpoint, or the path of a UNIX socket with one frame a line. */
  transport: z.enum(['http', 'socket']),
  address: z.string().min(1).max(1_024),
  health: z.enum(['ok', 'failing', 'unknown']),
  /** Why it is not `ok`, in words. */
  reason: z.string().max(1_024).optional(),
  /** How the daemon finds that out, in words: `GET http://127.0.0.1:8000/health`. */
  probe: z.string().max(1_024),
  /** Of all that the server is made of: another digest is another server under the same id. */
  digest: z.string().min(1).max(128),
})
const lineSchema = z.object({ offers: z.array(offer).max(maxOffers) })

/** One MCP server that a daemon answers for. */
export type Offer = z.output<typeof offer>

/** A port: what a daemon has to offer, now and from now on. At most 1,000; ids are unique. */
export interface Offers {
  list(): readonly Offer[]
  /** `onChange` is called after every change; what is returned ends that. */
  watch(onChange: () => void): () => void
}

/** Offers that are set. */
export class OfferList implements Offers {
  #offers: readonly Offer[] = []
  readonly #watchers = new Set<() => void>()

  list(): readonly Offer[] {
    return this.#offers
  }

  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange)
    return () => void this.#watchers.delete(onChange)
  }

  /** Nobody is told of what is the same as before. */
  set(offers: readonly Offer[]): void {
    if (JSON.stringify(offers) === JSON.stringify(this.#offers)) return
    this.#offers = offers
    for (const watcher of this.#watchers) watcher()
  }
}

const noOffers: Offers = { list: () => [], watch: () => () => {} }

/** Lists: `{"offers":[…]}`. */
const listPath = '/v1/offers'
/** Streams: one line with all of them at once and after each change, and an empty line now and then. */
const changesPath = '/v1/offers/changes'

const beatMs = 10_000
const silentMs = 30_000
const maxLineLength = 8 << 20
const firstRestMs = 100
const mostRestMs = 2_000

/** Answers what is asked about offers, and says whether it was that. */
export function answerOffers(
  { clock, offers = noOffers }: { readonly clock: Clock; readonly offers?: Offers },
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  if (request.method !== 'GET' || (request.url !== listPath && request.url !== changesPath)) return false
  request.on('error', () => {})
  response.on('error', () => {})
  if (request.url === listPath) answerJson(response, 200, { offers: offers.list() })
  else streamOffers(clock, offers, response)
  return true
}

/** Streams until the other side goes away; one that does not read is told the newest list when it does. */
function streamOffers(clock: Clock, offers: Offers, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  let isFull = false
  let isBehind = false
  const write = (text: string): void => {
    isFull = !response.write(text)
  }
  const tell = (): void => {
    isBehind = isFull
    if (!isFull) write(`${JSON.stringify({ offers: offers.list() })}\n`)
  }
  let cancel = (): void => {}
  const beat = (): void => {
    if (!isFull) write('\n')
    cancel = clock.after(beatMs, beat)
  }
  const forget = offers.watch(tell)
  response.on('drain', () => {
    isFull = false
    if (isBehind) tell()
  })
  response.on('close', () => {
    forget()
    cancel()
  })
  tell()
  cancel = clock.after(beatMs, beat)
}

export type OffersTold = {
  /** All that are offered now. */
  offered(offers: readonly Offer[]): void
  /** The daemon does not answer, in words why; it is asked again and again. */
  lost(reason: string): void
}

/** Follows what the daemon whose sockets are in `folder` offers, until the returned function is called. */
export function watchOffers({ clock }: { readonly clock: Clock }, folder: string, told: OffersTold): () => void {
  const socketPath = join(folder, socketNames.observe)
  let isStopped = false
  let restMs = firstRestMs
  let stop = (): void => {}
  const connect = (): void => {
    const abort = new AbortController()
    let cancel = (): void => {}
    const over = (reason: string): void => {
      if (abort.signal.aborted) return
      abort.abort()
      cancel()
      if (isStopped) return
      told.lost(reason)
      stop = clock.after(restMs, connect)
      restMs = Math.min(2 * restMs, mostRestMs)
    }
    const heard = (): void => {
      cancel()
      cancel = clock.after(silentMs, () => over('it says nothing any more'))
    }
    stop = () => over('stopped')
    heard()
    const asking = request(
      { socketPath, path: changesPath, headers: { host: 'localhost' }, agent: false, signal: abort.signal },
      (response) => {
        response.on('error', () => {}).on('close', () => over('it has closed the connection'))
        if (response.statusCode !== 200) return over(`it answers HTTP ${response.statusCode}: is it another version?`)
        let held = ''
        response.setEncoding('utf8').on('data', (text: string) => {
          heard()
          held += text
          const lines = text.includes('\n') ? held.split('\n') : [held]
          held = lines.pop()!
          if (held.length > maxLineLength) return over('it offers too much')
          for (const line of lines) {
            if (line === '' || abort.signal.aborted) continue
            const offers = offersIn(line)
            if (!offers) return over('what it says is no list of offers')
            restMs = firstRestMs
            told.offered(offers)
          }
        })
      },
    )
    asking.on('error', (error) => over(reasonOf(error))).end()
  }
  connect()
  return () => {
    isStopped = true
    stop()
  }
}

function offersIn(line: string): readonly Offer[] | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(line)).data?.offers
  } catch {
    return undefined
  }
}
