// Rootless podman, through its own socket: containers that outlive the agent.
import { dirname, join } from 'node:path'
import { signalGroup } from '../../base/supervise/group.ts'
import type { Clock } from '../../kernel/clock.ts'
import { Fault, reasonOf } from '../../kernel/fault.ts'
import { type Answer, type PodmanClient, part, podmanClient, refused, unavailable } from '../podman/client.ts'
import { type Containers, podmanContainers } from '../podman/containers.ts'
import * as decode from '../podman/decode.ts'
import { type Piece, linesOf, piecesOf, textLines } from '../podman/frames.ts'
import { statOfProcess } from '../podman/processes.ts'
import { podmanSpec, secondsOf } from '../podman/spec.ts'
import { watchPodman } from '../podman/watch.ts'
import { refuseUnable } from '../abilities.ts'
import { fault } from '../faults.ts'
import { splitReference } from '../reference.ts'
import type {
  ContainerSpec,
  LogsAsked,
  PullProgress,
  ResolvedImage,
  Runtime,
  RuntimeAbility,
  RuntimeKind,
  RuntimeNeeds,
} from '../runtime.ts'

const where = 'in the local store'
const maxOutputBytes = 64 << 10
/** A pull says nothing while a large layer comes in. */
const pullIdleMs = 15 * 60_000
const startMs = 60_000
/** What podman itself needs besides waiting for the container. */
const stopSpareMs = 30_000
const removeTries = 4
/** How long podman may take to tidy up after a container that ended. */
const tidyMs = 5_000
const tidyPauseMs = 20

type Parts = { readonly client: PodmanClient; readonly clock: Clock; readonly containers: Containers }

export default {
  summary: 'containers of rootless podman',
  async open(needs: RuntimeNeeds, { socket }): Promise<Runtime> {
    const client = podmanClient(needs, socket)
    try {
      const { isRootless, isV2, controllers } = decode.decodeInfo(
        await client.mustDo({ method: 'GET', path: 'info', doing: 'say what it is' }),
      )
      const limits = (['memory', 'cpu', 'pids'] as const).filter((name) => (isV2 ? controllers.has(name) : !isRootless))
      return { ...podman({ ...needs, client }, socket, limits), ...(isRootless ? { amongUsers } : {}) }
    } catch (error) {
      client.close()
      throw error
    }
  },
} satisfies RuntimeKind

const amongUsers: NonNullable<Runtime['amongUsers']> = (argv) => ['podman', 'unshare', ...argv]

type Limit = 'memory' | 'cpu' | 'pids'

function podman(needs: RuntimeNeeds & { readonly client: PodmanClient }, socket: string, limits: readonly Limit[]): Runtime {
  const { client, clock } = needs
  const exits = (): string => exitsFolder(needs.env, socket)
  const containers = podmanContainers({ client, clock }, exits)
  const parts = { client, clock, containers }
  const watchers = new Set<Disposable>()
  const can = new Set<RuntimeAbility>([
    'images',
    'networks',
    'port-mapping',
    'volumes',
    'users',
    'health-checks',
    'exec',
    'stdio',
    'detached',
    ...limits.map((name) => (name === 'pids' ? ('pid-limits' as const) : (`${name}-limits` as const))),
  ])
  return {
    name: 'podman',
    isSimulated: false,
    can,
    list: (labels) => containers.list(labels),
    resolve: async (reference) => {
      const image = await findImage(client, reference)
      return image && { reference, digest: splitReference(reference).digest ?? image.digest }
    },
    pull: (reference, onProgress, signal) => pull(client, clock, reference, onProgress, signal),
    async create(spec) {
      refuseUnable('podman', can, spec)
      return create(client, spec)
    },
    start: (id) => start(parts, id),
    stop: (id, stopMs) => stop(parts, id, stopMs),
    remove: (id) => remove(parts, id),
    async rename(id, name) {
      const doing = `rename ${id} to ${name}`
      const answer = await client.call({ method: 'POST', path: `containers/${part(id)}/rename`, query: { name }, doing })
      if (answer.refusal && isNameTaken(answer.refusal)) {
        const own = await client.call({ method: 'GET', path: `containers/${part(name)}/json`, doing })
        if (own.status === 200 && decode.decodeMade(own.body, doing) === id) return
        throw fault.name_taken({ name })
      }
      known(id, doing, answer)
    },
    logs: (id, asked, signal) => logs(client, id, asked, signal),
    exec: (id, argv, timeoutMs) => exec(parts, id, argv, timeoutMs),
    stdioArgv: (id, argv) => ['podman', '--url', `unix://${socket}`, 'exec', '-i', id, ...argv],
    async checkHealth(id) {
      const doing = `check the health of ${id}`
      const answer = await client.call({ method: 'GET', path: `containers/${part(id)}/healthcheck`, doing, timeoutMs: startMs })
      if (answer.status === 409) return undefined // it has none, or does not run
      known(id, doing, answer)
      return decode.decodeHealth(answer.body)
    },
    watch(onHint) {
      const watcher = watchPodman(needs, exits, onHint)
      watchers.add(watcher)
      return {
        [Symbol.dispose]() {
          watchers.delete(watcher)
          watcher[Symbol.dispose]()
        },
      }
    },
    async close() {
      for (const watcher of watchers) watcher[Symbol.dispose]()
      watchers.clear()
      client.close()
    },
  }
}

/** Beside the socket (`RUN/podman/podman.sock`); that of root lies elsewhere. */
function exitsFolder(env: RuntimeNeeds['env'], socket: string): string {
  const run = dirname(dirname(socket))
  if (run === '/run') return '/run/libpod/exits'
  return join(socket.endsWith('/podman/podman.sock') ? run : (env['XDG_RUNTIME_DIR'] ?? run), 'libpod/tmp/exits')
}

/** A refusal becomes its fault; what needs nothing done (304) is well. */
function known(id: string, doing: string, { status, refusal }: Answer): void {
  if (!refusal) return
  if (status === 404) throw fault.no_container({ id })
  throw refused(doing, refusal.message)
}

/** What broke a stream that had begun. */
function lost(error: unknown): Error {
  return error instanceof Fault ? error : unavailable(`the connection was lost: ${reasonOf(error)}`, error)
}

/** It was up, and is not wholly down. */
const isUntidied = (state: string): boolean => !['created', 'configured', 'initialized', 'exited'].includes(state)

const isNameTaken = ({ cause }: { readonly cause: string }): boolean =>
  cause === 'that name is already in use' || cause === 'container already exists'

/** By a name, as podman finds it; by a digest alone, among all that are there, since podman takes that for the id of a configuration. */
async function findImage(client: PodmanClient, reference: string): Promise<decode.Image | undefined> {
  const doing = `look for the image ${reference}`
  const { name, digest } = splitReference(reference)
  if (name === '' && digest !== undefined) {
    const images = decode.decodeImages(await client.mustDo({ method: 'GET', path: 'images/json', query: { all: true }, doing }), doing)
    return images.find(
      (image) => image.digest === digest || `sha256:${image.id}` === digest || image.repoDigests.some((one) => one.endsWith(`@${digest}`)),
    )
  }
  const path = digest === undefined ? reference : `${name}@${digest}`
  const { status, body, refusal } = await client.call({ method: 'GET', path: `images/${part(path)}/json`, doing })
  if (status === 404) return undefined
  if (refusal) throw refused(doing, refusal.message)
  return decode.decodeImage(body, doing)
}

/** The answer is 200 whatever happens: what went wrong stands in its last line. */
async function pull(
  client: PodmanClient,
  clock: Clock,
  reference: string,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<ResolvedImage> {
  const idle = new AbortController()
  const failed = (reason: string, cause?: unknown): Error => fault.pull_failed({ reference, reason }, cause)
  const arm = (): (() => void) => clock.after(pullIdleMs, () => idle.abort())
  let cancel = arm()
  let problem: string | undefined
  try {
    const request = {
      method: 'POST',
      path: 'images/pull',
      query: { reference, policy: 'always' },
      doing: `fetch ${reference}`,
      timeoutMs: pullIdleMs,
    } as const
    const answer = await client.stream(request, AbortSignal.any([signal, idle.signal]))
    if ('refusal' in answer) throw failed(answer.refusal.message)
    for await (const line of textLines(answer.response)) {
      cancel()
      cancel = arm()
      const { error, text } = decode.decodePull(line)
      if (error !== undefined) problem = error
      else if (text) onProgress({ text })
    }
  } catch (error) {
    signal.throwIfAborted()
    if (idle.signal.aborted) throw failed(`nothing came for ${pullIdleMs / 60_000} minutes`, error)
    throw lost(error)
  } finally {
    cancel()
  }
  if (problem !== undefined) {
    if (/manifest unknown|name unknown|repository name not known/i.test(problem))
      throw fault.no_image({ reference, where: 'in its registry' })
    throw failed(problem)
  }
  const image = await findImage(client, reference)
  if (!image) throw failed('podman said that it has it, and has it not')
  return { reference, digest: splitReference(reference).digest ?? image.digest }
}

async function create(client: PodmanClient, spec: ContainerSpec): Promise<string> {
  const doing = `create ${spec.name}`
  const image = await findImage(client, spec.image.digest)
  if (!image) throw fault.no_image({ reference: spec.image.reference, where })
  const { body, refusal } = await client.call({
    method: 'POST',
    path: 'containers/create',
    body: podmanSpec(spec, image.id),
    doing,
    timeoutMs: startMs,
  })
  if (!refusal) return decode.decodeMade(body, doing)
  if (isNameTaken(refusal)) throw fault.name_taken({ name: spec.name })
  if (refusal.cause === 'image not known') throw fault.no_image({ reference: spec.image.reference, where })
  throw refused(doing, refusal.message)
}

/**
 * Of one that has just ended podman may not have tidied up yet, or be about to start it again itself. Started before that, it would come back without its ports: podman
 * believes that it has them still. What stays untidied is tidied by a stop.
 */
async function start(parts: Parts, id: string): Promise<void> {
  const { client, clock, containers } = parts
  const doing = `start ${id}`
  for (const from = clock.mono(); ; await clock.wait(tidyPauseMs)) {
    const found = await containers.inspect(id)
    if (!found || !isUntidied(found.state)) break
    if (await containers.processOf(id)) return
    if (clock.mono() - from < tidyMs) continue
    await stop(parts, id, 0)
    break
  }
  known(id, doing, await client.call({ method: 'POST', path: `containers/${part(id)}/start`, doing, timeoutMs: startMs }))
}

async function stop({ client, containers }: Parts, id: string, stopMs: number): Promise<void> {
  const doing = `stop ${id}`
  if (await containers.isStale(id)) return // podman would wait for seconds for the end of what is not there
  const query = { timeout: secondsOf(stopMs) }
  const { status, refusal } = await client.call({
    method: 'POST',
    path: `containers/${part(id)}/stop`,
    query,
    doing,
    timeoutMs: stopMs + stopSpareMs,
  })
  if (!refusal || status === 404) return
  if (await containers.processOf(id)) throw refused(doing, refusal.message)
}

/** One whose conmon is dead wants to be removed twice; and what podman forgot may run on. */
async function remove({ client, containers }: Parts, id: string): Promise<void> {
  const doing = `remove ${id}`
  const process = await containers.processOf(id)
  let said = 'it is there still'
  for (let tries = 0; tries < removeTries; tries++) {
    const request = {
      method: 'DELETE',
      path: `containers/${part(id)}`,
      query: { force: true, timeout: 0, v: false },
      doing,
      timeoutMs: startMs,
    } as const
    const { refusal } = await client.call(request)
    if (refusal) said = refusal.message
    if (await containers.inspect(id)) continue
    if (process && statOfProcess(process.pid)?.startTicks === process.startTicks) signalGroup(process.group, 'SIGKILL')
    return
  }
  throw refused(doing, said)
}

async function* logs(client: PodmanClient, id: string, { tail, since, follow = false }: LogsAsked, signal: AbortSignal) {
  const doing = `read what ${id} printed`
  const seconds = since === undefined ? undefined : Math.floor(since / 1_000)
  const query = { stdout: true, stderr: true, timestamps: true, follow, tail, since: seconds }
  const over = new AbortController()
  try {
    const answer = await client.stream(
      { method: 'GET', path: `containers/${part(id)}/logs`, query, doing },
      AbortSignal.any([signal, over.signal]),
    )
    if ('refusal' in answer) return known(id, doing, { ...answer, body: undefined })
    for await (const line of linesOf(piecesOf(answer.response))) yield line
  } catch (error) {
    if (signal.aborted) return
    throw lost(error)
  } finally {
    over.abort()
  }
}

async function exec({ client, clock }: Parts, id: string, argv: readonly string[], timeoutMs: number) {
  const doing = `run ${argv[0]} in ${id}`
  const body = { Cmd: argv, AttachStdout: true, AttachStderr: true }
  const made = await client.call({ method: 'POST', path: `containers/${part(id)}/exec`, body, doing })
  known(id, doing, made)
  const path = `exec/${decode.decodeMade(made.body, doing)}`
  const asked = async () => decode.decodeExec(await client.mustDo({ method: 'GET', path: `${path}/json`, doing }))
  const late = new AbortController()
  const cancel = clock.after(timeoutMs, () => late.abort())
  let output: string
  try {
    const answer = await client.stream({ method: 'POST', path: `${path}/start`, body: { Detach: false }, doing }, late.signal)
    if ('refusal' in answer) throw refused(doing, answer.refusal.message)
    output = await firstOf(piecesOf(answer.response))
  } catch (error) {
    if (!late.signal.aborted) throw lost(error)
    output = ''
  } finally {
    cancel()
  }
  if (!late.signal.aborted) return { exitCode: (await asked()).exitCode, output }
  const group = statOfProcess((await asked()).pid)?.group
  if (group !== undefined) signalGroup(group, 'SIGKILL') // nobody would read it any more, and podman has no call for that
  throw refused(doing, `it did not end within ${timeoutMs} ms`)
}

/** As much of it as is kept; the rest is read, so that it can end. */
async function firstOf(pieces: AsyncIterable<Piece>): Promise<string> {
  const chunks: Buffer[] = []
  let roomBytes = maxOutputBytes
  for await (const { bytes } of pieces) {
    if (roomBytes > 0) chunks.push(bytes.subarray(0, roomBytes))
    roomBytes -= bytes.length
  }
  return Buffer.concat(chunks).toString('utf8')
}
