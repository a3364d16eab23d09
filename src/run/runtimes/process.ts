// Plain processes, for machines without podman: each in a group of its own, ended with the agent. `images/<name>/<tag>/` in its folder is an image.
import { join } from 'node:path'
import { lockFolder } from '../../base/store/lock.ts'
import { openStore } from '../../base/store/store.ts'
import { startChild } from '../../base/supervise/child.ts'
import { startGuard } from '../../base/supervise/guard.ts'
import { Fault } from '../../kernel/fault.ts'
import { makeFolder, removeFile, writeWhole } from '../../kernel/file.ts'
import { randomBytes } from '../../kernel/random.ts'
import { refuseUnable } from '../abilities.ts'
import { fault } from '../faults.ts'
import { type KeptImages, keptImages } from '../process/kept-images.ts'
import { Life, type LifeNeeds } from '../process/life.ts'
import { type Records, type Row, migrations, recordsIn } from '../process/records.ts'
import { type Way, entryScript, located, wayOf } from '../process/way.ts'
import {
  type Container,
  type ContainerSpec,
  type Labels,
  type LogLine,
  type LogsAsked,
  type ResolvedImage,
  type Runtime,
  type RuntimeAbility,
  type RuntimeKind,
  type RuntimeNeeds,
  hasLabels,
} from '../runtime.ts'

const can: ReadonlySet<RuntimeAbility> = new Set<RuntimeAbility>(['exec', 'stdio'])
const maxContainers = 1_000
const maxOutputBytes = 64 << 10

export default {
  summary: 'plain processes of this user, ended with the agent',
  async open(needs: RuntimeNeeds, { folder }): Promise<Runtime> {
    const { clock, log } = needs
    try {
      const lock = lockFolder(folder, 'process')
      const store = openStore({ path: join(folder, 'process.db'), migrations, log, clock })
      return new ProcessRuntime(needs, folder, recordsIn(store), () => {
        store.close()
        lock.release()
      })
    } catch (error) {
      if (error instanceof Fault) throw fault.runtime_unavailable({ runtime: 'process', reason: error.message }, error)
      throw error
    }
  },
} satisfies RuntimeKind

class ProcessRuntime implements Runtime {
  readonly name = 'process'
  readonly isSimulated = false
  readonly can = can
  readonly #needs: RuntimeNeeds & LifeNeeds
  readonly #images: KeptImages
  readonly #entries: string
  readonly #lives = new Map<string, Life>()
  readonly #watchers = new Set<(id: string) => void>()
  readonly #release: () => void

  constructor(needs: RuntimeNeeds, folder: string, records: Records, release: () => void) {
    const tell = (id: string): void => {
      for (const watcher of this.#watchers) watcher(id)
    }
    this.#needs = { ...needs, records, tell, guard: startGuard(needs) }
    this.#images = keptImages(records, { images: join(folder, 'images'), kept: join(folder, 'kept-images') })
    this.#entries = join(folder, 'entries')
    this.#release = release
    makeFolder(this.#entries)
    for (const row of records.all()) {
      if (row.state === 'running') Object.assign(row, { state: 'exited', exitCode: 137 }) // it ended with the agent before us
      this.#lives.set(row.id, this.#life(row))
    }
  }

  async list(labels: Labels = {}): Promise<readonly Container[]> {
    const wanted = [...this.#lives.values()].filter(({ row }) => hasLabels(row.spec, labels))
    return wanted.map(({ row, pid }) => {
      const { id, name, spec, state, startedAt, exitCode, restarts } = row
      return {
        id,
        name,
        state,
        image: spec.image,
        labels: spec.labels,
        restarts,
        ...(pid === undefined ? {} : { pid }),
        ...(startedAt === undefined ? {} : { startedAt }),
        ...(state === 'exited' && exitCode !== undefined ? { exitCode } : {}),
      }
    })
  }

  resolve(reference: string): Promise<ResolvedImage | undefined> {
    return this.#images.resolve(reference)
  }

  async pull(reference: string): Promise<ResolvedImage> {
    const image = await this.resolve(reference)
    if (!image) throw fault.no_image({ reference, where: 'in the folder images' })
    return image
  }

  async create(spec: ContainerSpec): Promise<string> {
    refuseUnable(this.name, can, spec)
    this.#checkName(spec.name)
    await this.#images.keep(spec.image)
    this.#checkName(spec.name) // another may have taken it meanwhile
    if (this.#lives.size >= maxContainers) throw this.#refused(`create ${spec.name}`, `there are ${maxContainers} containers already`)
    const id = Buffer.from(randomBytes(32)).toString('hex')
    const row: Row = { id, name: spec.name, spec, state: 'created', startedAt: undefined, exitCode: undefined, restarts: 0 }
    writeWhole(join(this.#entries, id), entryScript(this.#folderOf(spec), spec), 0o700)
    this.#needs.records.add(row)
    this.#lives.set(id, this.#life(row))
    this.#needs.tell(id)
    return id
  }

  async start(id: string): Promise<void> {
    await this.#known(id).start()
  }

  async stop(id: string, stopMs: number): Promise<void> {
    await this.#lives.get(id)?.stop(stopMs)
  }

  async remove(id: string): Promise<void> {
    const life = this.#lives.get(id)
    if (!life) return
    await life.stop(0)
    const { records, tell } = this.#needs
    records.remove(id)
    this.#lives.delete(id)
    removeFile(join(this.#entries, id))
    await this.#images.tidy()
    tell(id)
  }

  async rename(id: string, name: string): Promise<void> {
    const { row } = this.#known(id)
    if (row.name === name) return
    this.#checkName(name)
    row.name = name
    this.#needs.records.save(row)
    this.#needs.tell(id)
  }

  async *logs(id: string, { tail, since, follow = false }: LogsAsked, signal: AbortSignal) {
    const life = this.#known(id)
    const { records } = this.#needs
    let next = Promise.withResolvers<void>()
    const wake = (): void => next.resolve()
    using _ = this.watch((changed) => changed === id && wake())
    signal.addEventListener('abort', wake, { once: true })
    try {
      life.flush()
      let seen = records.lastLine(id)
      for (const line of records.lines(id, { tail, since })) yield plain(line)
      if (!follow) return
      for (let isLast = false; !isLast && !signal.aborted;) {
        isLast = life.row.state !== 'running'
        life.flush()
        const fresh = records.linesAfter(id, seen)
        seen = fresh.at(-1)?.number ?? seen
        for (const line of fresh) yield plain(line)
        if (isLast || fresh.length > 0) continue
        await next.promise
        next = Promise.withResolvers()
      }
    } finally {
      signal.removeEventListener('abort', wake)
    }
  }

  async exec(id: string, argv: readonly string[], timeoutMs: number): Promise<{ exitCode: number; output: string }> {
    const { row } = this.#known(id)
    const doing = `run ${argv[0]} in ${row.name}`
    if (row.state !== 'running') throw this.#refused(doing, 'it does not run')
    const child = await startChild(this.#needs, { name: row.name, ...this.#way(row.spec, argv), onStderr: () => {} }).catch(
      (error: unknown) => {
        throw error instanceof Fault ? this.#refused(doing, error.message, error) : error
      },
    )
    child.stdin.end()
    const late = new AbortController()
    const cancel = this.#needs.clock.after(timeoutMs, () => {
      late.abort()
      void child.stop({ eofMs: 0, termMs: 0 })
    })
    const chunks: Buffer[] = []
    let roomBytes = maxOutputBytes
    child.stdout.on('data', (chunk: Buffer) => {
      if (roomBytes > 0) chunks.push(chunk.subarray(0, roomBytes))
      roomBytes -= chunk.length
    })
    const { exitCode, lastWords } = await child.ended
    await child.gone
    cancel()
    if (late.signal.aborted) throw this.#refused(doing, `it did not end within ${timeoutMs} ms`)
    const errors = lastWords === '' ? [] : [Buffer.from(`${lastWords}\n`).subarray(0, Math.max(0, roomBytes))]
    return { exitCode: exitCode ?? 137, output: Buffer.concat([...chunks, ...errors]).toString('utf8') }
  }

  stdioArgv(id: string, argv: readonly string[]): readonly [string, ...string[]] {
    return [join(this.#entries, id), ...located(this.#folderOf(this.#known(id).row.spec), argv)]
  }

  async checkHealth(id: string): Promise<undefined> {
    this.#known(id)
  }

  watch(onHint: (id?: string) => void): Disposable {
    this.#watchers.add(onHint)
    return { [Symbol.dispose]: () => void this.#watchers.delete(onHint) }
  }

  async close(): Promise<void> {
    this.#watchers.clear()
    await Promise.all([...this.#lives.values()].map((life) => life.stop(life.row.spec.stopMs)))
    await this.#needs.guard.close()
    this.#release()
  }

  #known(id: string): Life {
    const life = this.#lives.get(id)
    if (!life) throw fault.no_container({ id })
    return life
  }

  #checkName(name: string): void {
    if ([...this.#lives.values()].some(({ row }) => row.name === name)) throw fault.name_taken({ name })
  }

  #life(row: Row): Life {
    return new Life(this.#needs, row, () => this.#way(row.spec, row.spec.cmd))
  }

  #way(spec: ContainerSpec, argv: readonly string[]): Way {
    return wayOf(this.#folderOf(spec), spec, argv, this.#needs.env)
  }

  #folderOf({ image }: ContainerSpec): string {
    return this.#images.folderOf(image.digest)
  }

  #refused(doing: string, reason: string, cause?: unknown): Error {
    return fault.runtime_refused({ runtime: this.name, doing, reason }, cause)
  }
}

function plain({ time, stream, text }: LogLine): LogLine {
  return { time, stream, text }
}
