// A machine that is not there: images, containers and their processes as values, moved by a clock, and by whoever plays the world outside.
import { createHash } from 'node:crypto'
import { constants } from 'node:os'
import type { Clock } from '../../kernel/clock.ts'
import { fault } from '../faults.ts'
import { splitReference } from '../reference.ts'
import type { Container, ContainerSpec, LogLine, ResolvedImage } from '../runtime.ts'

type Health = NonNullable<Container['health']>

/** What a process does by itself. A word of its `cmd` may say so too: `sim:print=TEXT`, `sim:exit=CODE`, `sim:exit-after=MS`, `sim:ignore-term`, `sim:health=unhealthy`. */
export type Behaviour = {
  readonly prints?: readonly string[] | undefined
  readonly exits?: { readonly afterMs: number; readonly code: number } | undefined
  readonly ignoresTerm?: boolean | undefined
  /** Of its own health check; it has none by default. */
  readonly health?: Health | undefined
  /** What the runtime says instead of starting it. */
  readonly refuses?: string | undefined
}

/** One container as it really is. */
export type Inmate = {
  readonly id: string
  readonly spec: ContainerSpec
  readonly lines: LogLine[]
  name: string
  state: 'created' | 'running' | 'exited'
  isStale: boolean
  /** A person or the agent ended it: no policy brings it back. */
  isStopped: boolean
  restarts: number
  /** Counts its lives, so that what was meant for one of them does not hit the next. */
  life: number
  pid?: number | undefined
  startedAt?: number | undefined
  exitCode?: number | undefined
  health?: Health | undefined
}

const restartMs = 200
const maxLines = 1_000
const maxContainers = 100_000
const maxImages = 10_000

/** The machine. Everything on it outlives the runtimes that are opened over it, as containers do. */
export class World {
  readonly clock: Clock
  readonly #isAnyImageThere: boolean
  readonly #registry = new Map<string, string>()
  readonly #store = new Map<string, string>()
  /** Digests in the local store, some of them without a name left. */
  readonly #stored = new Set<string>()
  readonly #behaviours = new Map<string, Behaviour>()
  readonly #inmates = new Map<string, Inmate>()
  readonly #listeners = new Set<(id: string) => void>()
  #made = 0
  #lastPid = 1_000

  /** `isAnyImageThere`: the registry has whatever it is asked for. Else only what was pushed. */
  constructor({ clock }: { readonly clock: Clock }, { isAnyImageThere = false }: { readonly isAnyImageThere?: boolean } = {}) {
    this.clock = clock
    this.#isAnyImageThere = isAnyImageThere
  }

  // What the world outside does.

  /** The registry has this image from now on, by a digest of its own or the given one: the second time it is another image of the same name. */
  push(reference: string, { digest = this.#newDigest(), ...behaviour }: Behaviour & { readonly digest?: string } = {}): string {
    this.#registry.set(reference, digest)
    this.#behaviours.set(digest, behaviour)
    return digest
  }

  /** The registry has it no more. */
  withdraw(reference: string): void {
    this.#registry.delete(reference)
  }

  /** Somebody put it into the local store, or moved its name to another image there. */
  load(reference: string, image: Behaviour & { readonly digest?: string } = {}): string {
    const digest = this.push(reference, image)
    this.#keep(reference, digest)
    this.#registry.delete(reference)
    return digest
  }

  /** Somebody removed it from the local store. */
  forget(reference: string): void {
    const digest = this.#store.get(reference)
    this.#store.delete(reference)
    if (digest !== undefined && ![...this.#store.values()].includes(digest)) this.#stored.delete(digest)
  }

  /** Somebody signals its process: the restart policy counts. */
  kill(id: string, signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#end(this.#running(id), 128 + constants.signals[signal], 'by itself')
  }

  /** Its process ends by itself. */
  exit(id: string, code: number): void {
    this.#end(this.#running(id), code, 'by itself')
  }

  /** Its process goes, and the runtime does not notice: it goes on to believe that it runs. */
  orphan(id: string): void {
    const inmate = this.#running(id)
    Object.assign(inmate, { isStale: true, state: 'exited', pid: undefined, life: inmate.life + 1, exitCode: undefined })
  }

  print(id: string, text: string, stream: 'stdout' | 'stderr' = 'stdout'): void {
    const { lines } = this.#running(id)
    lines.push({ time: this.clock.now(), stream, text })
    if (lines.length > maxLines) lines.shift()
    this.#tell(id)
  }

  setHealth(id: string, health: Health | undefined): void {
    this.#running(id).health = health
  }

  /** The machine goes off and on again: no process is left, and no policy brings one back. */
  reboot(): void {
    for (const inmate of this.#inmates.values()) if (inmate.state === 'running') this.#end(inmate, 137, 'with the machine')
  }

  // What runtimes ask of it.

  get inmates(): readonly Inmate[] {
    return [...this.#inmates.values()]
  }

  find(id: string): Inmate | undefined {
    return this.#inmates.get(id)
  }

  listen(act: (id: string) => void): Disposable {
    this.#listeners.add(act)
    return { [Symbol.dispose]: () => void this.#listeners.delete(act) }
  }

  resolve(reference: string): ResolvedImage | undefined {
    const { name, digest } = splitReference(reference)
    const found = digest ?? this.#store.get(reference)
    if (found === undefined || !this.#stored.has(found)) return undefined
    const isOfName =
      name === '' || digest === undefined || [...this.#store].some(([one, its]) => its === found && splitReference(one).name === name)
    return isOfName ? { reference, digest: found } : undefined
  }

  pull(reference: string): ResolvedImage | undefined {
    const { name, digest } = splitReference(reference)
    if (digest !== undefined) {
      const offered = [...this.#registry].find(([one, its]) => its === digest && splitReference(one).name === name)
      if (!offered) return undefined
      this.#keep(offered[0], digest)
      return { reference, digest }
    }
    if (!this.#registry.has(reference) && this.#isAnyImageThere) this.push(reference, { digest: digestOf(reference) })
    const found = this.#registry.get(reference)
    if (found === undefined) return undefined
    this.#keep(reference, found)
    return { reference, digest: found }
  }

  create(spec: ContainerSpec): Inmate {
    if (!this.#stored.has(spec.image.digest)) throw fault.no_image({ reference: spec.image.reference, where: 'in the local store' })
    this.checkName(spec.name)
    if (this.#inmates.size >= maxContainers)
      throw fault.runtime_refused({
        runtime: 'memory',
        doing: `create ${spec.name}`,
        reason: `there are ${maxContainers} containers already`,
      })
    const id = digestOf(`container ${++this.#made}`).slice('sha256:'.length)
    const inmate: Inmate = {
      id,
      spec,
      name: spec.name,
      lines: [],
      state: 'created',
      isStale: false,
      isStopped: false,
      restarts: 0,
      life: 0,
    }
    this.#inmates.set(id, inmate)
    this.#tell(id)
    return inmate
  }

  checkName(name: string): void {
    if (this.inmates.some((inmate) => inmate.name === name)) throw fault.name_taken({ name })
  }

  start(inmate: Inmate): void {
    if (inmate.state === 'running' || inmate.isStale) return
    const behaviour = this.behaviourOf(inmate)
    if (behaviour.refuses !== undefined)
      throw fault.runtime_refused({ runtime: 'memory', doing: `start ${inmate.name}`, reason: behaviour.refuses })
    inmate.isStopped = false
    inmate.restarts = 0
    this.#live(inmate)
  }

  /** Its process ends, and nothing brings it back. */
  stop(inmate: Inmate, exitCode: number): void {
    inmate.isStopped = true
    if (inmate.state === 'running') this.#end(inmate, exitCode, 'stopped')
  }

  remove(inmate: Inmate): void {
    inmate.life++
    inmate.state = 'exited'
    this.#inmates.delete(inmate.id)
    this.#tell(inmate.id)
  }

  rename(inmate: Inmate, name: string): void {
    if (inmate.name === name) return
    this.checkName(name)
    inmate.name = name
    this.#tell(inmate.id)
  }

  behaviourOf({ spec: { image, cmd } }: Inmate): Behaviour {
    return { ...this.#behaviours.get(image.digest), ...spoken(cmd) }
  }

  // The machine itself.

  #live(inmate: Inmate): void {
    const { prints = [], exits, health } = this.behaviourOf(inmate)
    Object.assign(inmate, {
      state: 'running',
      pid: ++this.#lastPid,
      startedAt: this.clock.now(),
      exitCode: undefined,
      health,
      life: inmate.life + 1,
    })
    for (const text of prints) this.print(inmate.id, text)
    this.#tell(inmate.id)
    if (!exits) return
    const { life } = inmate
    this.clock.after(exits.afterMs, () => inmate.life === life && this.#end(inmate, exits.code, 'by itself'))
  }

  #end(inmate: Inmate, exitCode: number, how: 'by itself' | 'stopped' | 'with the machine'): void {
    Object.assign(inmate, { state: 'exited', pid: undefined, health: undefined, exitCode, life: inmate.life + 1 })
    this.#tell(inmate.id)
    const { policy, most } = inmate.spec.restart
    const isBroughtBack = policy === 'on-failure' ? exitCode !== 0 && (most === 0 || inmate.restarts < most) : policy !== 'no'
    if (how !== 'by itself' || !isBroughtBack) return
    const { life } = inmate
    this.clock.after(restartMs, () => {
      if (inmate.life !== life || inmate.isStopped) return
      inmate.restarts++
      this.#live(inmate)
    })
  }

  #running(id: string): Inmate {
    const inmate = this.#inmates.get(id)
    if (inmate?.state !== 'running') throw new Error(`${id} does not run in this world`)
    return inmate
  }

  #keep(reference: string, digest: string): void {
    if (this.#store.size >= maxImages) throw fault.pull_failed({ reference, reason: `the store has its ${maxImages} images already` })
    this.#store.set(reference, digest)
    this.#stored.add(digest)
  }

  #newDigest(): string {
    return digestOf(`image ${++this.#made}`)
  }

  #tell(id: string): void {
    for (const listener of this.#listeners) listener(id)
  }
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

function spoken(cmd: readonly string[]): Behaviour {
  const words = cmd.filter((word) => word.startsWith('sim:')).map((word) => word.slice('sim:'.length))
  const valueOf = (key: string): string | undefined => words.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1)
  const prints = words.filter((word) => word.startsWith('print=')).map((word) => word.slice('print='.length))
  const code = valueOf('exit')
  const health = valueOf('health')
  return {
    ...(prints.length > 0 ? { prints } : {}),
    ...(code === undefined ? {} : { exits: { afterMs: Number(valueOf('exit-after') ?? 0), code: Number(code) } }),
    ...(words.includes('ignore-term') ? { ignoresTerm: true } : {}),
    ...(health === undefined ? {} : { health: health as Health }),
  }
}
