// What runs services on one machine: the port behind which podman, plain processes and the memory of a simulation stand. Each says what it can.

import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'

/** What not every runtime can. What a definition asks for and the runtime cannot is refused before anything is touched (`run.cannot`). */
export type RuntimeAbility =
  /** Fetches images from registries; else they are put into its store by hand. */
  | 'images'
  | 'networks'
  /** A port of the machine may be another one inside. */
  | 'port-mapping'
  /** Folders of the machine are elsewhere inside, or cannot be written there; volumes with a name. */
  | 'volumes'
  | 'users'
  | 'memory-limits'
  | 'cpu-limits'
  | 'pid-limits'
  | 'health-checks'
  | 'exec'
  | 'stdio'
  /** What runs goes on without us: after `close`, and when the agent is killed. Without it, both end it. */
  | 'detached'

/** An image as it was found: what it is called, and what it is. */
export type ResolvedImage = {
  readonly reference: string
  /** `sha256:` and 64 hex digits: of its manifest where it has one, else of its configuration. */
  readonly digest: string
}

/** What is made of a component. Names and labels are ours to choose, see `container.ts`. */
export type ContainerSpec = {
  readonly name: string
  readonly image: ResolvedImage
  readonly labels: Labels
  readonly cmd: readonly string[]
  readonly env: readonly string[]
  readonly ports: readonly {
    readonly address: string
    readonly hostPort: number
    readonly containerPort: number
    readonly protocol: 'tcp' | 'udp'
  }[]
  readonly volumes: readonly { readonly source: string; readonly target: string; readonly isReadOnly: boolean }[]
  readonly network?: string | undefined
  readonly user?: string | undefined
  readonly restart: { readonly policy: 'no' | 'always' | 'unless-stopped' | 'on-failure'; readonly most: number }
  readonly memoryBytes?: number | undefined
  readonly cpus?: number | undefined
  readonly pids?: number | undefined
  readonly stopMs: number
}

/** `created`: never started. `running`: its process is alive, which was looked at (a runtime may believe otherwise). `exited`: it was started, and is over. */
export type ContainerState = 'created' | 'running' | 'exited'

export type Labels = Readonly<Record<string, string>>

/** Whether it has all of these labels. */
export function hasLabels(container: { readonly labels: Labels }, labels: Labels): boolean {
  return Object.entries(labels).every(([name, value]) => container.labels[name] === value)
}

/** One container as it is now. */
export type Container = {
  readonly id: string
  readonly name: string
  readonly state: ContainerState
  readonly image: ResolvedImage
  readonly labels: Labels
  /** Of its first process as the machine sees it; only while it runs. */
  readonly pid?: number | undefined
  /** ms since 1970 */
  readonly startedAt?: number | undefined
  /** Only when it has exited, and it is known; 128 + N for signal N. */
  readonly exitCode?: number | undefined
  /** How often the runtime itself started it again. */
  readonly restarts: number
  /** Of the image's own health check, where it has one and the runtime runs it. */
  readonly health?: 'starting' | 'healthy' | 'unhealthy' | undefined
  /** What is wrong with the runtime's own record of it: it said running, and the process was gone. Only removing it helps. */
  readonly isStale?: boolean | undefined
}

export type PullProgress = { readonly text: string; readonly doneBytes?: number; readonly ofBytes?: number }
export type LogLine = { readonly time: number; readonly stream: 'stdout' | 'stderr'; readonly text: string }
export type LogsAsked = {
  /** The last so many lines; all by default. */
  readonly tail?: number | undefined
  /** ms since 1970 */
  readonly since?: number | undefined
  /** Goes on with what comes, until the signal, or until the container ends. */
  readonly follow?: boolean | undefined
}

/**
 * A runtime. Every call may fail with `run.runtime_unavailable` (it does not answer, or not in time) or `run.runtime_refused` (it says no: with its words); what was asked
 * for may then have been done or not. All but `create` may be repeated, with the same effect.
 */
export interface Runtime {
  readonly name: string
  /** True for a runtime in which nothing really runs: said in every result. */
  readonly isSimulated: boolean
  readonly can: ReadonlySet<RuntimeAbility>
  /** All containers, those of others too, or only those that have these labels: what grows with a node is not asked at each step. The truth: processes are looked at. */
  list(labels?: Labels): Promise<readonly Container[]>
  /** The image in the local store; undefined when it is not there. Takes `name:tag`, `name@sha256:…` and `sha256:…`. */
  resolve(reference: string): Promise<ResolvedImage | undefined>
  /** Fetches it. Faults besides: `run.no_image` (there is none of that name), `run.pull_failed`. */
  pull(reference: string, onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<ResolvedImage>
  /**
   * Makes a container that does not run yet; answers its id. It is of this very digest, whatever its name comes to mean. Faults besides: `run.name_taken`, `run.no_image`,
   * `run.cannot` for what is not in `can`.
   */
  create(spec: ContainerSpec): Promise<string>
  /** Fault besides: `run.no_container`. One that runs goes on. */
  start(id: string): Promise<void>
  /** Ends it in order (SIGTERM, then after `stopMs` SIGKILL), and no restart policy brings it back. One that does not run, or is not there, is well. */
  stop(id: string, stopMs: number): Promise<void>
  /** Takes it away whatever its state, with nothing of it left running. One that is not there is well. Volumes and folders stay. */
  remove(id: string): Promise<void>
  /** Faults besides: `run.name_taken`, `run.no_container`. */
  rename(id: string, name: string): Promise<void>
  /** Oldest first; times of some runtimes are whole seconds. Fault besides: `run.no_container`. */
  logs(id: string, asked: LogsAsked, signal: AbortSignal): AsyncIterable<LogLine>
  /** Runs a command inside. With `exec` only. Output is cut at 64 KiB. One that is not over in time is ended, and is `run.runtime_refused`. Fault besides: `run.no_container`. */
  exec(id: string, argv: readonly string[], timeoutMs: number): Promise<{ readonly exitCode: number; readonly output: string }>
  /** argv that runs a command inside with our stdin and stdout. With `stdio` only. */
  stdioArgv(id: string, argv: readonly string[]): readonly [string, ...string[]]
  /** argv that runs a command of the machine among the users inside containers, so that their files are its own; undefined where ours are no others. */
  amongUsers?(argv: readonly [string, ...string[]]): readonly [string, ...string[]]
  /** Runs the image's own health check now. With `health-checks` only; undefined when the image has none. */
  checkHealth(id: string): Promise<'starting' | 'healthy' | 'unhealthy' | undefined>
  /** Calls `onHint` soon after something may have changed (its id, if known). A hint, never the truth: some are lost. */
  watch(onHint: (id?: string) => void): Disposable
  /** Ends its watchers; what runs goes on where `can` says `detached`. */
  close(): Promise<void>
}

/** What the node offers to every runtime. */
export type RuntimeNeeds = { readonly clock: Clock; readonly log: Log; readonly env: Readonly<Record<string, string | undefined>> }

/** A kind of runtime, one file each in `runtimes/`. `setting`: its part of the node's configuration (a socket, a folder), absolute. */
export type RuntimeKind = {
  readonly summary: string
  /** Without `detached` there is one for each folder, and a second is refused; else there may be many. Fault `run.runtime_unavailable` when it does not answer. */
  open(needs: RuntimeNeeds, setting: { readonly socket: string; readonly folder: string }): Promise<Runtime>
}
