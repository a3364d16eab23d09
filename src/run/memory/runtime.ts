// The runtime over a world of memory: the port of a real one, with calls that fail, are late or lose their answer as a script says.
import { type Container, type Runtime, type RuntimeAbility, hasLabels } from '../runtime.ts'
import { fault } from '../faults.ts'
import { refuseUnable } from '../abilities.ts'
import type { Inmate, World } from './world.ts'

type Method = Exclude<keyof Runtime, 'name' | 'isSimulated' | 'can' | 'logs' | 'stdioArgv' | 'watch' | 'close'>

/** A call on its way: `subject` is the image, or the name or id of the container that it is about. */
export type Call = { readonly method: Method; readonly subject: string }

/**
 * What becomes of a call. `slow`: it is done, later. `fail`: nothing is done, `run.runtime_unavailable`. `refuse`: nothing is done, `run.runtime_refused`. `lose`: it is
 * done, and the caller hears `run.runtime_unavailable`.
 */
export type Interference =
  | { readonly do: 'slow'; readonly ms: number }
  | { readonly do: 'fail' | 'refuse' | 'lose'; readonly reason: string }

/** Asked about every call; undefined lets it pass. */
export type Script = (call: Call) => Interference | undefined

const abilities: readonly RuntimeAbility[] = [
  'images',
  'networks',
  'port-mapping',
  'volumes',
  'users',
  'memory-limits',
  'cpu-limits',
  'pid-limits',
  'health-checks',
  'exec',
  'detached',
]

/** Several may be open over one world; closing one only ends its watchers. Hints that `losesHint` names are lost. */
export function memoryRuntime({
  world,
  script = () => undefined,
  losesHint = () => false,
}: {
  readonly world: World
  readonly script?: Script
  readonly losesHint?: (id: string) => boolean
}): Runtime {
  const can = new Set(abilities)
  const watchers = new Set<Disposable>()
  const act = async <Result>(method: Method, subject: string, deed: () => Result | Promise<Result>): Promise<Result> => {
    const change = script({ method, subject })
    if (change?.do === 'fail') throw fault.runtime_unavailable({ runtime: 'memory', reason: change.reason })
    if (change?.do === 'refuse')
      throw fault.runtime_refused({ runtime: 'memory', doing: `${method} ${subject}`.trim(), reason: change.reason })
    if (change?.do === 'slow') await world.clock.wait(change.ms)
    const result = await deed()
    if (change?.do === 'lose') throw fault.runtime_unavailable({ runtime: 'memory', reason: change.reason })
    return result
  }
  const known = (id: string): Inmate => {
    const inmate = world.find(id)
    if (!inmate) throw fault.no_container({ id })
    return inmate
  }
  return {
    name: 'memory',
    isSimulated: true,
    can,
    list: (labels = {}) => act('list', '', () => world.inmates.map(seen).filter((one) => hasLabels(one, labels))),
    resolve: (reference) => act('resolve', reference, () => world.resolve(reference)),
    pull: (reference, onProgress, signal) =>
      act('pull', reference, () => {
        signal.throwIfAborted()
        const image = world.pull(reference)
        if (!image) throw fault.no_image({ reference, where: 'in the registry' })
        onProgress({ text: `pulled ${image.digest}`, doneBytes: 1, ofBytes: 1 })
        return image
      }),
    create: (spec) =>
      act('create', spec.name, () => {
        refuseUnable('memory', can, spec)
        return world.create(spec).id
      }),
    start: (id) => act('start', id, () => world.start(known(id))),
    stop: (id, stopMs) => act('stop', id, () => stop(world, id, stopMs)),
    remove: (id) =>
      act('remove', id, () => {
        const inmate = world.find(id)
        if (inmate) world.remove(inmate)
      }),
    rename: (id, name) => act('rename', id, () => world.rename(known(id), name)),
    async *logs(id, { tail, since = 0, follow = false }, signal) {
      const inmate = known(id)
      let next = Promise.withResolvers<void>()
      const wake = (): void => next.resolve()
      using _ = world.listen((changed) => changed === id && wake())
      signal.addEventListener('abort', wake, { once: true })
      try {
        let last = inmate.lines.at(-1)
        const past = inmate.lines.filter(({ time }) => time >= since)
        yield* tail === undefined ? past : past.slice(Math.max(0, past.length - tail))
        if (!follow) return
        while (!signal.aborted && inmate.state === 'running') {
          await next.promise
          next = Promise.withResolvers()
          const fresh = inmate.lines.slice(last ? inmate.lines.lastIndexOf(last) + 1 : 0)
          last = fresh.at(-1) ?? last
          yield* fresh
        }
      } finally {
        signal.removeEventListener('abort', wake)
      }
    },
    exec: (id, argv) =>
      act('exec', id, () => {
        const { state, name } = known(id)
        if (state !== 'running')
          throw fault.runtime_refused({ runtime: 'memory', doing: `run ${argv[0]} in ${name}`, reason: 'it does not run' })
        const code = argv.find((word) => word.startsWith('sim:exit='))?.slice('sim:exit='.length)
        const output = argv.filter((word) => word.startsWith('sim:print=')).map((word) => `${word.slice('sim:print='.length)}\n`)
        return { exitCode: Number(code ?? 0), output: output.join('') }
      }),
    stdioArgv(id, argv) {
      throw fault.cannot({ runtime: 'memory', place: world.find(id)?.name ?? argv.join(' '), abilities: ['stdio'] })
    },
    checkHealth: (id) => act('checkHealth', id, () => known(id).health),
    watch(onHint) {
      const listening = world.listen((id) => {
        if (!losesHint(id)) onHint(id)
      })
      watchers.add(listening)
      return {
        [Symbol.dispose]() {
          watchers.delete(listening)
          listening[Symbol.dispose]()
        },
      }
    },
    async close() {
      for (const watcher of watchers) watcher[Symbol.dispose]()
      watchers.clear()
    },
  }
}

async function stop(world: World, id: string, stopMs: number): Promise<void> {
  const inmate = world.find(id)
  if (!inmate) return
  inmate.isStopped = true
  if (inmate.state !== 'running') return
  if (!world.behaviourOf(inmate).ignoresTerm) return world.stop(inmate, 143)
  const { life } = inmate
  await world.clock.wait(stopMs)
  if (inmate.life === life) world.stop(inmate, 137)
}

function seen({ id, name, state, spec, pid, startedAt, exitCode, restarts, health, isStale }: Inmate): Container {
  return {
    id,
    name,
    state,
    image: spec.image,
    labels: spec.labels,
    restarts,
    ...(state === 'running' ? { pid, health } : {}),
    ...(state === 'created' ? {} : { startedAt }),
    ...(state === 'exited' ? { exitCode } : {}),
    ...(isStale ? { isStale } : {}),
  }
}
