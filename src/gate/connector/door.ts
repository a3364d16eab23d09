// The door of the connectors: handshake, heartbeat and each connector's channel over HTTP, for those who show a credential that the gate made.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../kernel/clock.ts'
import { type Fault, asFault, outside } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { bearerToken, tokenHash } from '../../base/access/principal.ts'
import { answerJson } from '../../base/http/answer.ts'
import type { Ledger } from '../../base/ledger/ledger.ts'
import { Bodies } from '../../base/mcp/door/body.ts'
import type { Connector, ConnectorKit } from '../connector-kind.ts'
import { fault } from '../faults.ts'
import type { ConnectorCredentialsTable } from './credentials.ts'
import { type HandshakeNeeds, type Shown, fingerprint, handshake } from './handshake.ts'
import { type HeartbeatNeeds, heartbeat } from './heartbeat.ts'
import { instantText } from './instant.ts'
import { objectIn } from './message-body.ts'
import { rateLimit } from '../../base/access/rate.ts'

export type DoorNeeds = HandshakeNeeds &
  HeartbeatNeeds & {
    readonly clock: Clock
    readonly log: Log
    readonly ledger: Ledger
    readonly credentials: ConnectorCredentialsTable
    kitOf(connector: Connector): ConnectorKit
    /** What is told of these connectors to their holders. */
    states(connectors: readonly string[]): readonly unknown[]
    readonly maxBodyBytes: number
  }

export interface ConnectorDoor {
  /** True for a message to a connector's path with a credential that was ever one of theirs: all else is for others to refuse. */
  takes(request: IncomingMessage): boolean
  handle(request: IncomingMessage, response: ServerResponse): void
}

const maxMessageBytes = 65_536
const maxAllBodyBytes = 64 << 20
const rates = {
  handshake: { burst: 60, perSecond: 1 },
  heartbeat: { burst: 60, perSecond: 2 },
  channel: { burst: 1_000, perSecond: 1_000 },
  connectors: { burst: 1_000, perSecond: 100 },
} as const
type Kind = keyof typeof rates

type Route = { readonly kind: Kind; readonly connector?: Connector }

export function createConnectorDoor(needs: DoorNeeds): ConnectorDoor {
  const { clock, log, ledger, credentials, sessions, connectors } = needs
  const bodies = new Bodies(maxAllBodyBytes)
  const takeToken = Object.fromEntries(Object.entries(rates).map(([kind, rate]) => [kind, rateLimit(clock, rate).take])) as Record<
    Kind,
    (key: string) => number
  >

  const routeOf = ({ method, url }: IncomingMessage): Route | undefined => {
    const path = url!.split('?', 1)[0]!
    if (path === '/handshake' && (method === 'POST' || method === 'DELETE')) return { kind: 'handshake' }
    if (path === '/heartbeat' && method === 'POST') return { kind: 'heartbeat' }
    if (path === '/connectors' && method === 'GET') return { kind: 'connectors' }
    const [, id, channel] = /^\/connectors\/([\w-]+)\/([\w-]+)$/.exec(path) ?? []
    const connector = method === 'POST' && id !== undefined ? connectors.get(id) : undefined
    return connector && connector.channel === channel ? { kind: 'channel', connector } : undefined
  }
  const shownBy = ({ headers }: IncomingMessage): Shown | undefined => {
    const token = bearerToken(headers.authorization)
    return token === undefined ? undefined : { token, sha256: tokenHash(token) }
  }

  async function answer(request: IncomingMessage, response: ServerResponse, { kind, connector }: Route, shown: Shown): Promise<unknown> {
    const waitMs = takeToken[kind](shown.sha256)
    if (waitMs > 0) throw fault.too_often({ waitMs })
    if (kind === 'connectors') return { connectors: needs.states(good(shown)) }
    refuseFrozen()
    if (kind === 'handshake' && request.method === 'POST')
      return handshake(needs, shown, objectIn(await bodyOf(request, response, maxMessageBytes)))
    good(shown)
    const id = sessionOf(request, shown, connector)
    if (kind === 'handshake') return end(id, shown)
    if (kind === 'heartbeat') return heartbeat(needs, shown, id, objectIn(await bodyOf(request, response, maxMessageBytes)))
    return work(request, response, connector!, { id, shown })
  }

  function refuseFrozen(): void {
    const { frozen } = credentials
    if (frozen) throw fault.frozen({ why: frozen.why, since: instantText(frozen.sinceMs) })
  }

  /** The connectors that it is good for; one that was good once is told why it is not any more. */
  function good({ sha256 }: Shown): readonly string[] {
    const served = credentials.servedBy(sha256)
    if (served.length > 0) return served
    const [id] = credentials.knownTo(sha256)
    const standing = credentials.standing(id!, sha256)
    throw standing.is === 'ended'
      ? fault.credential_ended({ why: standing.why, at: instantText(standing.atMs) })
      : fault.no_connector_session({})
  }

  /** The one that is named, or the only one there is. */
  function sessionOf({ headers }: IncomingMessage, { sha256 }: Shown, connector: Connector | undefined): string {
    const named = headers['connector-session']
    if (typeof named === 'string') return named
    const all = connector ? sessions.of(connector.id) : sessions.all
    const own = all.filter((session) => session.sha256 === sha256)
    if (own.length !== 1) throw fault.no_connector_session({})
    return own[0]!.id
  }

  async function end(id: string, { sha256 }: Shown): Promise<unknown> {
    await sessions.end(sessions.mine(id, sha256).id, 'its holder ended it')
    return { ended: id }
  }

  async function work(
    request: IncomingMessage,
    response: ServerResponse,
    connector: Connector,
    { id, shown }: { readonly id: string; readonly shown: Shown },
  ): Promise<unknown> {
    const session = sessions.alive(id, shown.sha256)
    if (session.connector !== connector.id) throw fault.no_connector_session({})
    const gone = new AbortController()
    response.on('close', () => gone.abort())
    const query = new URL(request.url!, 'http://gate').searchParams
    const body = (): Promise<Buffer> => bodyOf(request, response, needs.maxBodyBytes)
    return { route: 'mcp', ...(await connector.handle(needs.kitOf(connector), { request, query, body, abort: gone.signal })) }
  }

  async function bodyOf(request: IncomingMessage, response: ServerResponse, maxBytes: number): Promise<Buffer> {
    const body = await bodies.read(request, maxBytes)
    if (body === 'tooLarge') throw fault.body_too_large({ maxBytes })
    if (body === 'noRoom') throw fault.too_often({ waitMs: 1_000 })
    response.once('close', () => body.release())
    return body.bytes
  }

  function refuse(request: IncomingMessage, response: ServerResponse, { kind, connector }: Route, shown: Shown, refusal: Fault): void {
    const { httpStatus: status, level } = outside[refusal.kind]
    const { code, message, hint } = refusal
    log[level === 'error' && refusal.kind !== 'bug' ? 'warn' : level]('gate.connector.refused', {
      path: kind,
      connector: connector?.id,
      code,
      reason: message,
    })
    if (code !== 'gate.too_often') {
      const entry = {
        event: 'refused',
        door: 'connectors',
        path: kind,
        credential: fingerprint(shown.sha256),
        reason: `${code}: ${message}`.slice(0, 300),
      }
      ledger.append(entry).catch(() => {})
    }
    const wait = typeof refusal.details['waitMs'] === 'number' ? refusal.details['waitMs'] : undefined
    const error = refusal.kind === 'bug' ? { code, message: 'internal error' } : { code, message, ...(hint === undefined ? {} : { hint }) }
    const told = {
      ...(kind === 'handshake' ? { authenticated: false } : {}),
      // Nobody may take another way with what may have been done.
      ...(kind === 'channel' ? { sent: refusal.kind === 'bug' || code === 'gate.command_unknown' } : {}),
      error,
    }
    answerJson(response, status, told, {
      ...(wait === undefined ? {} : { 'retry-after': String(Math.ceil(wait / 1_000)) }),
      ...(request.complete ? {} : { connection: 'close' }), // what is left of the body is never read
    })
  }

  return {
    takes(request) {
      if (!routeOf(request)) return false
      const shown = shownBy(request)
      return shown !== undefined && credentials.knownTo(shown.sha256).length > 0
    },
    handle(request, response) {
      const [route, shown] = [routeOf(request)!, shownBy(request)!]
      answer(request, response, route, shown)
        .then((value) => answerJson(response, 200, value))
        .catch((error: unknown) => {
          if (response.headersSent || response.destroyed) response.destroy()
          else refuse(request, response, route, shown, asFault(error))
        })
    },
  }
}
