// The dashboard's place in the gate: who may use it, links to sign in by, and a door whose rest is loaded when somebody comes.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SocketKind } from '../../base/control/api.ts'
import { answerJson } from '../../base/http/answer.ts'
import { asFault } from '../../kernel/fault.ts'
import { fault } from './faults.ts'
import { type Known, People, type PeopleNeeds, linkMs } from './people.ts'
import type { Serving, ServingNeeds } from './serving.ts'

/** What each principal may do there, as it is configured now. */
export type Levels = { get(principal: string): SocketKind | undefined; names(): readonly string[] }

export type DashboardNeeds = Omit<ServingNeeds, 'people'> & {
  readonly levels: Levels
} & Pick<PeopleNeeds, 'bucket' | 'directory'>

const paths = /^\/(?:[?]|$|web\/|api\/)/

export class Dashboard {
  readonly #needs: DashboardNeeds
  readonly #people: People
  #serving: Promise<Serving> | undefined

  constructor(needs: DashboardNeeds) {
    this.#needs = needs
    this.#people = new People(needs)
  }

  /** True for what it answers: nothing, as long as it is nobody's. */
  takes({ url }: IncomingMessage): boolean {
    return paths.test(url!) && this.#needs.levels.names().length > 0
  }

  /** `refused` is told of who was not let in. */
  handle(request: IncomingMessage, response: ServerResponse, known: Known, refused: (reason: string, status: number) => void): void {
    this.#loaded()
      .then((serving) => serving.answer(request, response, known, refused))
      .catch((error: unknown) => {
        request.resume()
        if (response.headersSent) return void response.destroy()
        answerJson(response, 500, { error: asFault(error) })
      })
  }

  /** A path that signs `principal` in once, without a name the only one that may. Fault `dashboard.no_principal`. */
  link(principal: string | undefined): { readonly principal: string; readonly path: string; readonly untilMs: number } {
    const known = this.#needs.levels.names()
    const name = principal ?? (known.length === 1 ? known[0] : undefined)
    if (name === undefined || !known.includes(name)) throw fault.no_principal({ known })
    // behind the #, where no server, log or other site gets to see it
    return { principal: name, path: `/#sign-in=${this.#people.code(name)}`, untilMs: this.#needs.clock.now() + linkMs }
  }

  /** Credentials, or what principals may do, are others now. */
  recheck(): void {
    this.#serving?.then((serving) => serving.recheck()).catch(() => {}) // what is not loaded has no pages
  }

  async close(): Promise<void> {
    this.#people.close()
    await this.#serving?.then((serving) => serving.close()).catch(() => {})
  }

  /** A failure is not kept: whoever comes next has it tried again. */
  #loaded(): Promise<Serving> {
    return (this.#serving ??= import('./serving.ts')
      .then(({ createServing }) => createServing({ ...this.#needs, people: this.#people }))
      .catch((error: unknown) => {
        this.#serving = undefined
        this.#needs.log.error('dashboard.not_loaded', { error })
        throw error
      }))
  }
}
