// What the dashboard answers: its pages to anybody, since they are no secret; and everything else to who is signed in.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { inputOf } from '../../base/control/body.ts'
import { fault as controlFault } from '../../base/control/faults.ts'
import { answerJson } from '../../base/http/answer.ts'
import type { Clock } from '../../kernel/clock.ts'
import { asFault, outside } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { asks, begin } from './api.ts'
import type { Signed } from './client.ts'
import { fault } from './faults.ts'
import { builtFiles } from './files.ts'
import { Live } from './live.ts'
import type { Known, People, Person } from './people.ts'
import { Daemons, type DaemonsNeeds } from './reach.ts'
import { checkSameSite } from './same-site.ts'

export type ServingNeeds = DaemonsNeeds & {
  readonly clock: Clock
  readonly log: Log
  readonly people: People
  readonly version: string
  /** Where it is reached from outside, if that is elsewhere than where it listens. */
  readonly publicUrl: string | undefined
}

type Refuse = (reason: string, status: number) => void

export type Serving = {
  answer(request: IncomingMessage, response: ServerResponse, known: Known, refused: Refuse): Promise<void>
  recheck(): void
  close(): void
}

export function createServing(needs: ServingNeeds): Serving {
  const { log, people, version, publicUrl } = needs
  const daemons = new Daemons(needs)
  const live = new Live({ ...needs, daemons })
  const outsideHost = publicUrl === undefined ? undefined : new URL(publicUrl).host
  let files: ReturnType<typeof builtFiles> | undefined

  const isSecure = ({ headers }: IncomingMessage): boolean => publicUrl?.startsWith('https:') === true && headers.host === outsideHost
  /** Browsers send cookies to all ports of a host, so that each gate there has one of its own name. */
  const cookieName = (request: IncomingMessage): string =>
    isSecure(request) ? '__Host-fairlead' : `fairlead-${request.socket.localPort ?? 'socket'}`
  const cookieOf = (request: IncomingMessage): string | undefined => cookieIn(request.headers.cookie, cookieName(request))
  const cookieFor = (request: IncomingMessage, value: string, forMs: number): string =>
    `${cookieName(request)}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${Math.floor(forMs / 1_000)}${isSecure(request) ? '; Secure' : ''}`

  const signedOf = ({ name, level }: Person): Signed => ({ person: name, level, version })

  async function session(request: IncomingMessage, response: ServerResponse, known: Known): Promise<void> {
    const given = begin.safeParse(await inputOf({ request, clock: needs.clock }))
    if (!given.success) throw controlFault.bad_input({ problem: given.error.issues[0]?.message ?? 'unreadable' })
    const { cookie, person, forMs } = await people.signIn(given.data.code, known, request)
    await needs.ledger.append({ event: 'dashboard.sign-in', principal: person.name, via: person.via })
    answerJson(response, 200, signedOf(person), { 'set-cookie': cookieFor(request, cookie, forMs) })
  }

  async function api(request: IncomingMessage, response: ServerResponse, path: string, known: Known, refused: Refuse): Promise<void> {
    checkSameSite(request, outsideHost)
    const what = `${request.method} ${path}`
    if (what === 'POST /api/session') return session(request, response, known)
    const who = (): Promise<Person> => people.of(request, cookieOf(request), known)
    const person = await who()
    if (what === 'GET /api/session') return answerJson(response, 200, signedOf(person))
    if (what === 'POST /api/session/end') {
      await people.signOut(cookieOf(request))
      live.recheck()
      return answerJson(response, 200, {}, { 'set-cookie': cookieFor(request, '', 0) })
    }
    if (what === 'GET /api/daemons') return answerJson(response, 200, await daemons.list())
    if (what === 'GET /api/live') return live.answer(asksIn(request.url!), who, response)
    const [, id, operation] = /^POST \/api\/([\w.-]+)\/([a-z][a-z-]*)$/.exec(what) ?? []
    if (id === undefined) throw fault.no_path({ path: path.slice(0, 200) })
    await daemons.answer(id, operation!, { who, refused }, request, response)
  }

  function page(request: IncomingMessage, response: ServerResponse, path: string): void {
    files ??= builtFiles()
    if (!files.answer(request, path, response)) throw fault.no_path({ path: path.slice(0, 200) })
  }

  return {
    async answer(request, response, known, refused) {
      const path = request.url!.split('?', 1)[0]!
      try {
        if (path.startsWith('/api/')) return await api(request, response, path, known, refused)
        page(request, response, path)
      } catch (error) {
        const failure = asFault(error)
        const { httpStatus } = outside[failure.kind]
        if (failure.kind === 'bug') log.error('dashboard.defect', { error })
        if (failure.kind === 'unauthenticated' || failure.kind === 'denied') refused(failure.message, httpStatus)
        if (response.headersSent) return void response.destroy()
        answerJson(response, httpStatus, { error: failure })
      } finally {
        if (response.writableEnded) request.resume() // a call that is still answered reads its own body
      }
    },
    recheck: () => live.recheck(),
    close() {
      live.close()
      daemons.close()
    },
  }
}

function asksIn(url: string) {
  let value: unknown
  try {
    value = JSON.parse(new URLSearchParams(url.slice(url.indexOf('?') + 1)).get('asks') ?? '')
  } catch {
    throw fault.bad_ask({ problem: 'asks is no JSON' })
  }
  const given = asks.safeParse(value)
  if (!given.success) throw fault.bad_ask({ problem: given.error.issues[0]?.message ?? 'unreadable' })
  return given.data
}

function cookieIn(header: string | undefined, name: string): string | undefined {
  const pair = header?.split(';').find((part) => part.trim().startsWith(`${name}=`))
  return pair?.slice(pair.indexOf('=') + 1).trim()
}
