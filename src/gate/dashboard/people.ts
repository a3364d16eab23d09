// Who uses the dashboard: by a link that is good once and for a short time, or by what the gate knows them by; then by a cookie that no script can read.
import type { IncomingMessage } from 'node:http'
import { type Directory, type Principal, type Refused, type Via, bearerToken, tokenHash } from '../../base/access/principal.ts'
import type { SocketKind } from '../../base/control/api.ts'
import type { Bucket } from '../../base/kv/kv.ts'
import type { Clock } from '../../kernel/clock.ts'
import { randomId } from '../../kernel/random.ts'
import { fault } from './faults.ts'

/** A link waits so long to be opened. */
export const linkMs = 10 * 60_000
/** A browser stays signed in for so long. */
const sessionMs = 12 * 60 * 60_000
const maxLinks = 64
const maxSessions = 256
const codeBytes = 24

export type Person = { readonly name: string; readonly level: SocketKind; readonly via: Via | 'link' }

/** Whom the gate takes the sender for, by all but the dashboard's own cookie. */
export type Known = () => Principal | Refused | Promise<Principal | Refused>

export type PeopleNeeds = {
  readonly clock: Clock
  /** Keeps who is signed in over a restart: by the hash of the cookie. */
  readonly bucket: Bucket
  /** What a principal may do in the dashboard, as it is configured now. */
  readonly levels: { get(principal: string): SocketKind | undefined }
  /** Whose each static token is now: a cookie ends with the token that it was given for. */
  readonly directory: Pick<Directory, 'byTokenHash'>
}

/** `token`: by the hash of which static token it was signed in. */
type Session = { readonly principal: string; readonly via: Person['via']; readonly untilMs: number; readonly token?: string | undefined }
type Link = { readonly principal: string; readonly cancel: () => void }

export class People {
  readonly #needs: PeopleNeeds
  /** By the hash of the code. */
  readonly #links = new Map<string, Link>()

  constructor(needs: PeopleNeeds) {
    this.#needs = needs
  }

  /** A code that signs `principal` in once. Of too many the oldest is given up. */
  code(principal: string): string {
    const code = randomId(codeBytes)
    const key = tokenHash(code)
    const [oldest] = this.#links.keys()
    if (this.#links.size >= maxLinks) this.#forget(oldest!)
    this.#links.set(key, { principal, cancel: this.#needs.clock.after(linkMs, () => this.#forget(key)) })
    return code
  }

  /** The value of a cookie for whom the code was made for; without one, for whom the gate knows by the request. Faults: `dashboard.bad_code`, `.not_signed_in`, `.not_for_you`. */
  async signIn(
    code: string | undefined,
    known: Known,
    { headers }: Pick<IncomingMessage, 'headers'>,
  ): Promise<{ readonly cookie: string; readonly person: Person; readonly forMs: number }> {
    const { clock, bucket } = this.#needs
    const nowMs = clock.now()
    const { person, untilMs = Infinity } = code === undefined ? await this.#proved(known) : { person: this.#redeemed(code) }
    const forMs = Math.min(sessionMs, untilMs - nowMs)
    const token = person.via === 'token' ? bearerToken(headers.authorization) : undefined
    const session: Session = { principal: person.name, via: person.via, untilMs: nowMs + forMs, token: token && tokenHash(token) }
    await this.#makeRoom()
    const cookie = randomId(codeBytes)
    await bucket.create(tokenHash(cookie), Buffer.from(JSON.stringify(session)))
    return { cookie, person, forMs }
  }

  /** Who sends the request. A credential in it counts for more than the cookie. Faults: `dashboard.not_signed_in`, `.not_for_you`. */
  async of(request: IncomingMessage, cookie: string | undefined, known: Known): Promise<Person> {
    const session = request.headers.authorization === undefined && cookie !== undefined ? await this.#session(cookie) : undefined
    return session ? this.#person(session.principal, session.via) : (await this.#proved(known)).person
  }

  async signOut(cookie: string | undefined): Promise<void> {
    const entry = cookie === undefined ? undefined : await this.#needs.bucket.get(tokenHash(cookie))
    if (entry) await this.#needs.bucket.delete(entry.key, entry.revision)
  }

  close(): void {
    for (const key of this.#links.keys()) this.#forget(key)
  }

  #forget(key: string): void {
    this.#links.get(key)?.cancel()
    this.#links.delete(key)
  }

  #redeemed(code: string): Person {
    const key = tokenHash(code)
    const link = this.#links.get(key)
    if (!link) throw fault.bad_code({})
    this.#forget(key)
    return this.#person(link.principal, 'link')
  }

  async #proved(known: Known): Promise<{ readonly person: Person; readonly untilMs?: number | undefined }> {
    const principal = await known()
    if ('status' in principal) throw fault.not_signed_in({})
    return { person: this.#person(principal.name, principal.via), untilMs: principal.untilMs }
  }

  #person(name: string, via: Person['via']): Person {
    const level = this.#needs.levels.get(name)
    if (!level) throw fault.not_for_you({ person: name })
    return { name, level, via }
  }

  async #session(cookie: string): Promise<Session | undefined> {
    const entry = await this.#needs.bucket.get(tokenHash(cookie))
    const session = entry && sessionIn(entry.value)
    return session && session.untilMs > this.#needs.clock.now() && this.#isProvedStill(session) ? session : undefined
  }

  #isProvedStill({ principal, token }: Session): boolean {
    return token === undefined || this.#needs.directory.byTokenHash(token)?.name === principal
  }

  /** Forgets sessions that are over, and the oldest when there are too many. */
  async #makeRoom(): Promise<void> {
    const { bucket, clock } = this.#needs
    const kept = []
    for await (const { key, revision, value } of bucket.list()) kept.push({ key, revision, untilMs: sessionIn(value).untilMs })
    kept.sort((a, b) => b.untilMs - a.untilMs)
    for (const [at, { key, revision, untilMs }] of kept.entries())
      if (untilMs <= clock.now() || at >= maxSessions - 1) await bucket.delete(key, revision)
  }
}

function sessionIn(value: Uint8Array): Session {
  return JSON.parse(Buffer.from(value).toString('utf8')) as Session
}
