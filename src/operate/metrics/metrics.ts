// What the machine measured over time: sampled on the clock's grid, kept in a database of its own, and asked in buckets.
import { dirname } from 'node:path'
import { type FolderLock, lockFolder } from '../../base/store/lock.ts'
import { type Reader, readStore } from '../../base/store/reader.ts'
import { type Store, openStore } from '../../base/store/store.ts'
import type { Clock } from '../../kernel/clock.ts'
import { type Fault, asFault } from '../../kernel/fault.ts'
import { makeFolder, statOf } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { fault } from '../faults.ts'
import type { Host } from '../host.ts'
import { ClockTrust, everyMultiple } from './grid.ts'
import { Looking } from './looking.ts'
import { type Bucket, addSamples, bucketsOf, migrations, newestSample, prune, usedBytes } from './samples.ts'
import type { Look } from './series.ts'
import type { MetricsSettings } from './settings.ts'

export type MetricsNeeds = { readonly host: Host; readonly clock: Clock; readonly log: Log }
export type KeepingSettings = Omit<MetricsSettings, 'storage_path'> & {
  readonly path: string
  /** Another process samples: this one only reads what it keeps. */
  readonly isReader?: boolean
}

export type MetricsState = {
  /** undefined: this process does not sample. */
  readonly intervalSeconds: number | undefined
  /** When the last sample was taken, in milliseconds since the epoch. */
  readonly lastSampleMs: number | undefined
  /** How long ago that is, or sampling began, by a clock that does not jump. */
  readonly sampleAgeMs: number | undefined
  /** Since this process began: samples taken, multiples of the interval at which none was. */
  readonly taken: number
  readonly missed: number
  readonly sizeBytes: number | undefined
  /** Where a damaged database went when this one was begun. */
  readonly setAside: string | undefined
  /** Why the last sample could not be kept; undefined: it was. */
  readonly problem: Fault | undefined
}

export interface Metrics {
  readonly path: string
  readonly state: MetricsState
  /** Faults: `operate.no_metrics`, and those of the store. */
  buckets(asked: Parameters<typeof bucketsOf>[1]): Bucket[]
  /** Opens the database, or sets a damaged one aside and begins another, and samples if that is configured. What goes wrong is told by `state`, and tried again with each sample. */
  begin(): void
  /** Looks now; CPU use is that since a look of the last minute, and is missing if there was none. */
  realtime(): Promise<Look>
  /** Begins to sample, or goes on in another interval. Fault `operate.metrics_elsewhere`. */
  startSampling(intervalSeconds?: number): void
  stopSampling(): void
  close(): void
}

/** Of one turn: pruning goes on with the next sample after that. */
const pruneMs = 40
const fileMode = 0o640
const folderMode = 0o750

/** Nothing is opened before it is begun, or asked. */
export function openMetrics(needs: MetricsNeeds, settings: KeepingSettings): Metrics {
  return settings.isReader ? new ReadMetrics(needs, settings) : new KeptMetrics(needs, settings)
}

class ReadMetrics implements Metrics {
  readonly path: string
  readonly #looking: Looking
  #reader: Reader | undefined

  constructor(needs: MetricsNeeds, { path }: KeepingSettings) {
    this.path = path
    this.#looking = new Looking(needs)
  }

  get state(): MetricsState {
    return {
      intervalSeconds: undefined,
      lastSampleMs: undefined,
      sampleAgeMs: undefined,
      taken: 0,
      missed: 0,
      sizeBytes: statOf(this.path)?.size,
      setAside: undefined,
      problem: undefined,
    }
  }

  begin(): void {
    // whoever keeps them may begin later
  }

  buckets(asked: Parameters<typeof bucketsOf>[1]): Bucket[] {
    try {
      this.#reader ??= readStore(this.path)
      return bucketsOf(this.#reader, asked)
    } catch (error) {
      this.close()
      throw fault.no_metrics({ path: this.path, reason: asFault(error).message }, error)
    }
  }

  realtime(): Promise<Look> {
    return this.#looking.now()
  }

  startSampling(): never {
    throw fault.metrics_elsewhere({ path: this.path })
  }

  stopSampling(): never {
    throw fault.metrics_elsewhere({ path: this.path })
  }

  close(): void {
    this.#reader?.close()
    this.#reader = undefined
  }
}

class KeptMetrics implements Metrics {
  readonly path: string
  readonly #needs: MetricsNeeds
  readonly #settings: KeepingSettings
  readonly #looking: Looking
  #lock: FolderLock | undefined
  #store: Store | undefined
  #inode: number | undefined
  #trust: ClockTrust | undefined
  #problem: Fault | undefined
  #setAside: string | undefined
  #sampling: { readonly intervalSeconds: number; readonly stop: () => void } | undefined
  #lastSampleMs: number | undefined
  #sampledAt: number
  #taken = 0
  #missed = 0

  constructor(needs: MetricsNeeds, settings: KeepingSettings) {
    this.path = settings.path
    this.#needs = needs
    this.#settings = settings
    this.#looking = new Looking(needs)
    this.#sampledAt = needs.clock.mono()
  }

  get state(): MetricsState {
    return {
      intervalSeconds: this.#sampling?.intervalSeconds,
      lastSampleMs: this.#lastSampleMs,
      sampleAgeMs: this.#sampling && this.#needs.clock.mono() - this.#sampledAt,
      taken: this.#taken,
      missed: this.#missed,
      sizeBytes: this.#store && usedBytes(this.#store),
      setAside: this.#setAside,
      problem: this.#problem,
    }
  }

  begin(): void {
    this.#attempt(() => this.#opened())
    if (this.#settings.sampling) this.startSampling()
  }

  buckets(asked: Parameters<typeof bucketsOf>[1]): Bucket[] {
    return bucketsOf(this.#opened(), asked)
  }

  realtime(): Promise<Look> {
    return this.#looking.now()
  }

  startSampling(intervalSeconds = this.#settings.sampling_interval_seconds): void {
    this.stopSampling()
    this.#sampledAt = this.#needs.clock.mono()
    void this.#looking.sample() // from here on CPU use is counted
    const act = (slotMs: number): void => void this.#sample(slotMs)
    const stop = everyMultiple({ clock: this.#needs.clock, act, missed: () => this.#missed++ }, intervalSeconds * 1_000)
    this.#sampling = { intervalSeconds, stop }
  }

  stopSampling(): void {
    this.#sampling?.stop()
    this.#sampling = undefined
  }

  close(): void {
    this.stopSampling()
    this.#letGo()
    this.#lock?.release()
  }

  async #sample(slotMs: number): Promise<void> {
    const { values } = await this.#looking.sample()
    if (!this.#sampling) return
    this.#attempt(() => {
      const store = this.#opened()
      addSamples(store, slotMs / 1_000, values)
      this.#taken++
      this.#lastSampleMs = slotMs
      this.#sampledAt = this.#needs.clock.mono()
      this.#prune(store)
    })
  }

  #prune(store: Store): void {
    const { clock } = this.#needs
    const { retention_days: sampleDays, rollup_retention_days: rollupDays, max_size_mb: maxMb } = this.#settings
    const from = clock.mono()
    const nowSeconds = this.#trust!.holds ? Math.floor(clock.now() / 1_000) : undefined
    prune(store, { sampleDays, rollupDays, maxBytes: maxMb * 2 ** 20 }, nowSeconds, () => clock.mono() - from < pruneMs)
  }

  /** What goes wrong is told once, until it is well again. */
  #attempt(work: () => void): void {
    try {
      work()
      if (this.#problem) this.#needs.log.info('metrics.kept_again', { path: this.path })
      this.#problem = undefined
    } catch (error) {
      const problem = asFault(error)
      if (this.#problem?.code !== problem.code)
        this.#needs.log.error('metrics.not_kept', { path: this.path, code: problem.code, error: problem.message })
      this.#problem = problem
      if (problem.code === 'store.damaged') this.#letGo() // opened again, it is set aside
    }
  }

  /** The database that bears the name now: a new one, when somebody took the file away. */
  #opened(): Store {
    if (this.#store && statOf(this.path)?.ino === this.#inode) return this.#store
    const { log, clock } = this.#needs
    if (this.#store) log.error('metrics.taken_away', { path: this.path })
    this.#letGo()
    makeFolder(dirname(this.path), folderMode)
    this.#lock ??= lockFolder(dirname(this.path), 'metrics')
    const store = openStore({ path: this.path, migrations, log, clock, mode: fileMode, canShrink: true })
    this.#store = store
    this.#setAside = store.setAside ?? this.#setAside
    this.#inode = statOf(this.path)?.ino
    const newest = newestSample(store)
    this.#trust = new ClockTrust(clock, newest === undefined ? undefined : newest * 1_000)
    return store
  }

  #letGo(): void {
    this.#store?.close()
    this.#store = undefined
  }
}
