// Calls the operations of a daemon on this machine, through one of its sockets; its faults come back as faults.
import { type RequestOptions, request } from 'node:http'
import { join } from 'node:path'
import { Fault, faults, outside, reasonOf } from '../../kernel/fault.ts'
import { type About, type Api, type Calls, type Privilege, socketNames } from './api.ts'

const fault = faults('control', {
  unreachable: (d: { daemon: string; path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `no ${d.daemon} answers at ${d.path} (${d.reason})`,
    hint: 'is it running, as this user? One that runs from a configuration file of its own needs the same --config FILE here',
  }),
  strange_answer: (d: { path: string; problem: string }) => ({
    kind: 'unavailable',
    message: `what answers at ${d.path} is not the daemon that was expected: ${d.problem}`,
    hint: 'is it another version?',
  }),
})

const defaultTimeoutMs = 10_000
const maxAnswerBytes = 64 << 20

/** A daemon as its clients see it. Every call may have the faults `control.unreachable` and `control.strange_answer`, and those of the daemon. */
export interface ControlClient<A extends Api> {
  about(): Promise<About>
  readonly calls: Calls<A>
}

export type ControlClientSettings = {
  readonly daemon: string
  readonly folder: string
  readonly privilege: Privilege
  /** How long a call may go without an answer; 10 s when absent. */
  readonly timeoutMs?: number
}

/** Nothing is opened before a call is made; each has a connection of its own. */
export function controlClient<A extends Api>(
  api: A,
  { daemon, folder, privilege, timeoutMs = defaultTimeoutMs }: ControlClientSettings,
): ControlClient<A> {
  const path = join(folder, socketNames[privilege])
  const ask = async (method: string, name: string, input?: unknown): Promise<unknown> => {
    const answer = await send({ socketPath: path, method, path: `/v1/${name}`, timeout: timeoutMs }, input).catch((error: unknown) => {
      throw fault.unreachable({ daemon, path, reason: reasonOf(error) }, error)
    })
    let value: unknown
    try {
      value = JSON.parse(answer.text)
    } catch {
      throw fault.strange_answer({ path, problem: 'no JSON' })
    }
    if (answer.status === 200) return value
    throw faultIn(value) ?? fault.strange_answer({ path, problem: `HTTP ${answer.status}` })
  }
  const calls = Object.entries(api).map(([name, { output }]) => [
    name,
    async (input: unknown): Promise<unknown> => {
      const found = output.safeParse(await ask('POST', name, input))
      if (!found.success) throw fault.strange_answer({ path, problem: found.error.issues[0]?.message ?? 'unreadable' })
      return found.data
    },
  ])
  return { about: async () => (await ask('GET', 'about')) as About, calls: Object.fromEntries(calls) as Calls<A> }
}

function send(asked: RequestOptions & { readonly timeout: number }, input: unknown): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const body = input === undefined ? undefined : JSON.stringify(input)
    const headers = { host: 'localhost', connection: 'close', ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const asking = request({ ...asked, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
        if (text.length > maxAnswerBytes) response.destroy(new Error('its answer is too long'))
      })
      response.on('error', reject).on('end', () => resolve({ status: response.statusCode!, text }))
    })
    asking.on('timeout', () => asking.destroy(new Error(`no answer within ${asked.timeout} ms`)))
    asking.on('error', reject).end(body)
  })
}

function faultIn(value: unknown): Fault | undefined {
  const { code, kind, message, hint, details } = ((value as { error?: unknown } | null)?.error ?? {}) as Partial<Fault>
  if (typeof code !== 'string' || typeof message !== 'string' || typeof kind !== 'string' || !Object.hasOwn(outside, kind)) return undefined
  return new Fault(code, { kind, message, ...(typeof hint === 'string' ? { hint } : {}) }, details ?? {})
}
