// One container of plain processes: its process group while it runs, what its restart policy does when that ends, and what it prints.
import { constants } from 'node:os'
import { type Child, type ChildEnd, startChild } from '../../base/supervise/child.ts'
import { type Backoff, failed, healthy, rested } from '../../base/supervise/backoff.ts'
import { signalGroup } from '../../base/supervise/group.ts'
import type { Guard } from '../../base/supervise/guard.ts'
import { LastWords } from '../../base/supervise/last-words.ts'
import type { Clock } from '../../kernel/clock.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { fault } from '../faults.ts'
import type { LogLine } from '../runtime.ts'
import type { Records, Row } from './records.ts'
import type { Way } from './way.ts'

export type LifeNeeds = {
  readonly guard: Guard
  readonly clock: Clock
  readonly log: Log
  readonly records: Records
  /** Something changed. */
  readonly tell: (id: string) => void
}

/** Lines wait so long to be written together, and so many at most. */
const batch = { ms: 20, most: 1_000 } as const

export class Life {
  readonly row: Row
  readonly #needs: LifeNeeds
  readonly #wayOf: () => Way
  #child: Child | undefined
  #starting: Promise<void> | undefined
  /** Whether it is wanted by whoever started it last: `stop` ends that, an end by itself does not. */
  #isWanted = false
  #backoff: Backoff = rested
  #cancelRestart = (): void => {}
  #batch: LogLine[] = []

  constructor(needs: LifeNeeds, row: Row, wayOf: () => Way) {
    this.#needs = needs
    this.row = row
    this.#wayOf = wayOf
  }

  get pid(): number | undefined {
    return this.row.state === 'running' ? this.#child?.pid : undefined
  }

  /** Faults: `run.runtime_refused`, with what keeps it from starting. */
  async start(): Promise<void> {
    this.#isWanted = true
    this.#cancelRestart()
    if (this.row.state !== 'running') this.row.restarts = 0
    this.#backoff = rested
    await this.#run()
  }

  /** Nothing of it is left when this resolves. */
  async stop(stopMs: number): Promise<void> {
    this.#isWanted = false
    this.#cancelRestart()
    await this.#starting?.catch(() => {})
    if (this.#child) await end(this.#child, stopMs)
    this.flush()
  }

  /** What waits to be written is written. */
  flush(): void {
    const lines = this.#batch.splice(0)
    if (lines.length === 0) return
    try {
      this.#needs.records.addLines(this.row.id, lines)
    } catch (error) {
      this.#needs.log.error('run.process.lines_lost', { id: this.row.id, lines: lines.length, error })
    }
    this.#needs.tell(this.row.id)
  }

  #run(): Promise<void> {
    if (this.row.state === 'running') return Promise.resolve()
    this.#starting ??= this.#begin().finally(() => {
      this.#starting = undefined
    })
    return this.#starting
  }

  async #begin(): Promise<void> {
    const { guard, clock, log } = this.#needs
    await this.#child?.gone
    const { name } = this.row
    let child: Child
    try {
      const onStderr = (text: string): void => this.#print('stderr', text)
      child = await startChild({ guard, clock, log }, { name, ...this.#wayOf(), onStderr })
    } catch (error) {
      if (error instanceof Fault) throw fault.runtime_refused({ runtime: 'process', doing: `start ${name}`, reason: error.message }, error)
      throw error
    }
    this.#child = child
    child.stdin.end()
    const words = new LastWords((text) => this.#print('stdout', text))
    child.stdout.on('data', (chunk: Buffer) => words.take(chunk)).on('end', () => words.end())
    this.#backoff = healthy(this.#backoff, clock.mono())
    this.#become({ state: 'running', startedAt: clock.now(), exitCode: undefined })
    void child.ended.then((end) => this.#ended(child, end))
  }

  #ended(child: Child, { exitCode, signal }: ChildEnd): void {
    if (this.#child !== child) return
    const { clock, log } = this.#needs
    const code = exitCode ?? 128 + (signal ? constants.signals[signal] : 0)
    this.flush()
    this.#become({ state: 'exited', exitCode: code })
    const { policy, most } = this.row.spec.restart
    const isBroughtBack = policy === 'on-failure' ? code !== 0 && (most === 0 || this.row.restarts < most) : policy !== 'no'
    if (!this.#isWanted || !isBroughtBack) return
    const { next, delayMs } = failed(this.#backoff, clock.mono())
    this.#backoff = next
    this.#cancelRestart = clock.after(delayMs, () => {
      this.row.restarts++
      this.#run().catch((error: unknown) => log.error('run.process.restart_failed', { name: this.row.name, error }))
    })
  }

  #become(change: Partial<Row>): void {
    Object.assign(this.row, change)
    try {
      this.#needs.records.save(this.row)
    } catch (error) {
      this.#needs.log.error('run.process.unsaved', { id: this.row.id, error }) // what is in memory goes on to hold
    }
    this.#needs.tell(this.row.id)
  }

  #print(stream: LogLine['stream'], text: string): void {
    const { clock } = this.#needs
    this.#batch.push({ time: clock.now(), stream, text })
    if (this.#batch.length === 1) clock.after(batch.ms, () => this.flush())
    else if (this.#batch.length >= batch.most) this.flush()
  }
}

/** Whoever is left of its group when the process itself has ended is killed at once, as in a container. */
async function end(child: Child, stopMs: number): Promise<void> {
  let isGone = false
  const going = child.stop({ eofMs: 0, termMs: stopMs }).then(() => {
    isGone = true
  })
  await child.ended
  if (!isGone) signalGroup(child.pgid, 'SIGKILL')
  await going
}
