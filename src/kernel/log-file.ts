// A log in a file that others may rotate, move or delete: lines go to whatever bears its name, and what is closed is kept within a number and an age.
import { closeSync, fstatSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import type { Clock } from './clock.ts'
import { reasonOf } from './fault.ts'
import { makeFolder } from './file.ts'

export type LogFileSettings = {
  readonly path: string
  /** The file is closed and a new one begun above this. */
  readonly maxBytes: number
  /** How many closed files are kept, and for how long. */
  readonly keepCount: number
  readonly keepMs: number
  /** 0o600 by default. */
  readonly mode?: number
}

export interface LogFile {
  /** Adds a line, given without its line feed. It is in the file at the end of this turn of the event loop. */
  write(line: string): void
  /** Why the last lines could not be written; undefined: they were. */
  readonly problem: string | undefined
  close(): void
}

const maxPendingLength = 1 << 20
const lookEveryMs = 60_000

/** Opens it; a file that cannot be opened or written is told by `problem` and tried again with each line: what happened meanwhile is counted in a line of its own. */
export function openLogFile(clock: Clock, settings: LogFileSettings): LogFile {
  return new RotatingFile(clock, settings)
}

class RotatingFile implements LogFile {
  readonly #clock: Clock
  readonly #settings: LogFileSettings
  #file: number | undefined
  #inode = 0
  #sizeBytes = 0
  #pending: string[] = []
  #pendingLength = 0
  #lost = 0
  #problem: string | undefined
  #isClosed = false
  #cancel = (): void => {}

  constructor(clock: Clock, settings: LogFileSettings) {
    this.#clock = clock
    this.#settings = settings
    this.#flush()
    this.#look()
  }

  get problem(): string | undefined {
    return this.#problem
  }

  write(line: string): void {
    if (this.#isClosed) return
    if (this.#pendingLength > maxPendingLength) return void this.#lost++
    if (this.#pending.length === 0) setImmediate(() => this.#flush())
    this.#pending.push(line)
    this.#pendingLength += line.length
  }

  close(): void {
    this.#flush()
    this.#isClosed = true
    this.#cancel()
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }

  #flush(): void {
    if (this.#isClosed) return
    const lines = this.#pending
    this.#pending = []
    this.#pendingLength = 0
    try {
      const file = this.#opened()
      if (this.#lost > 0)
        lines.unshift(
          JSON.stringify({ time: new Date(this.#clock.now()).toISOString(), level: 'error', event: 'log.lost', lines: this.#lost }),
        )
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
      this.#sizeBytes += bytes.length
      this.#lost = 0
      this.#problem = undefined
      if (this.#sizeBytes >= this.#settings.maxBytes) this.#rotate()
    } catch (error) {
      this.#problem = reasonOf(error)
      this.#lost += lines.length
    }
  }

  /** The file that bears the name now. One stat for all the lines of a turn. */
  #opened(): number {
    const { path, mode = 0o600 } = this.#settings
    if (this.#file !== undefined) {
      if (statSync(path, { throwIfNoEntry: false })?.ino === this.#inode) return this.#file
      this.#leave()
    }
    makeFolder(dirname(path), 0o750)
    this.#file = openSync(path, 'a', mode)
    const { ino, size } = fstatSync(this.#file)
    this.#inode = ino
    this.#sizeBytes = size
    return this.#file
  }

  #leave(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }

  #rotate(): void {
    renameSync(this.#settings.path, closedLogName(this.#settings.path, this.#clock.now()))
    this.#leave()
    this.#dropOld()
  }

  #look(): void {
    this.#dropOld()
    this.#cancel = this.#clock.after(lookEveryMs, () => this.#look())
  }

  #dropOld(): void {
    const { path, keepCount, keepMs } = this.#settings
    try {
      for (const [at, closed] of logFiles(path).slice(1).entries())
        if (at >= keepCount || closed.changedMs < this.#clock.now() - keepMs) rmSync(closed.path, { force: true })
    } catch {
      // the folder is not there yet, or cannot be read: nothing is dropped
    }
  }
}

/** `app.20261130T081500123Z.log` for `app.log`; with a number when that name is taken. */
function closedLogName(path: string, nowMs: number): string {
  const extension = extname(path)
  const stem = path.slice(0, path.length - extension.length)
  const utc = new Date(nowMs).toISOString().replaceAll(/[-:.]/g, '')
  for (let again = 1; ; again++) {
    const name = `${stem}.${utc}${again === 1 ? '' : `-${again}`}${extension}`
    if (!statSync(name, { throwIfNoEntry: false })) return name
  }
}

export type KeptLogFile = { readonly path: string; readonly changedMs: number; readonly sizeBytes: number; readonly inode: number }

/** The log's files, the one that is written first (be it there or not), then the closed ones, ours and logrotate's, the newest first. */
export function logFiles(path: string): KeptLogFile[] {
  const extension = extname(path)
  const active = basename(path)
  const stem = active.slice(0, active.length - extension.length)
  const isClosed = (name: string): boolean =>
    (name.startsWith(active) && /^[.-]\d[\d-]*(?:\.gz)?$/.test(name.slice(active.length))) ||
    (name.startsWith(`${stem}.`) &&
      /^\d{8}T\d{9}Z(?:-\d+)?$/.test(name.slice(stem.length + 1, -extension.length)) &&
      name.endsWith(extension))
  const kept = (name: string): KeptLogFile[] => {
    const full = join(dirname(path), name)
    const stat = statSync(full, { throwIfNoEntry: false })
    return stat?.isFile() ? [{ path: full, changedMs: stat.mtimeMs, sizeBytes: stat.size, inode: stat.ino }] : []
  }
  const closed = readdirSync(dirname(path)).filter(isClosed).flatMap(kept)
  return [
    kept(active)[0] ?? { path, changedMs: 0, sizeBytes: 0, inode: 0 },
    ...closed.sort((a, b) => b.changedMs - a.changedMs || (a.path < b.path ? 1 : -1)),
  ]
}
