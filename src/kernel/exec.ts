// Runs one short command to its end, by argv and never through a shell, with bounded output and time.
import { spawn } from 'node:child_process'
import { faults, reasonOf } from './fault.ts'

const fault = faults('exec', {
  not_found: (d: { command: string }) => ({
    kind: 'missing',
    message: `the command ${d.command} was not found`,
    hint: `install ${d.command}, or name it by its full path`,
  }),
  timed_out: (d: { command: string; timeoutMs: number }) => ({
    kind: 'unavailable',
    message: `${d.command} did not end within ${d.timeoutMs} ms`,
    hint: 'run it by hand to see what it waits for',
  }),
  too_much: (d: { command: string; maxBytes: number }) => ({
    kind: 'limited',
    message: `${d.command} printed more than ${d.maxBytes} bytes`,
    hint: 'is it the right command? run it by hand',
  }),
  failed_to_start: (d: { command: string; reason: string }) => ({
    kind: 'unavailable',
    message: `${d.command} did not start: ${d.reason}`,
    hint: 'check that this user may run it, and the limits of this user (ulimit -a)',
  }),
})

export type ExecResult = {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export type ExecOptions = {
  /** The whole environment of the command: nothing is inherited that is not named. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly input?: string
  /** 10 s by default; the command gets SIGKILL then. */
  readonly timeoutMs?: number
  /** Of stdout and of stderr, each; 1 MiB by default. */
  readonly maxBytes?: number
  /** So many lines of stdout are enough: the command is ended when it has printed them. */
  readonly enoughLines?: number
}

/** Runs `argv` and answers when it has ended, whatever its exit code; faults: `exec.not_found`, `exec.timed_out`, `exec.too_much`, `exec.failed_to_start`. */
export function exec(argv: readonly [string, ...string[]], options: ExecOptions = {}): Promise<ExecResult> {
  const { timeoutMs = 10_000, maxBytes = 1 << 20 } = options
  const [command, ...args] = argv
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...options.env }, cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'] })
    let failure: Error | undefined
    const timer = setTimeout(() => {
      failure = fault.timed_out({ command, timeoutMs })
      child.kill('SIGKILL')
    }, timeoutMs)
    const collect = (stream: NodeJS.ReadableStream): (() => string) => {
      const chunks: Buffer[] = []
      let sizeBytes = 0
      stream.on('data', (chunk: Buffer) => {
        sizeBytes += chunk.length
        if (sizeBytes <= maxBytes) return void chunks.push(chunk)
        failure ??= fault.too_much({ command, maxBytes })
        child.kill('SIGKILL')
      })
      return () => Buffer.concat(chunks).toString('utf8')
    }
    let leftLines = options.enoughLines ?? Number.POSITIVE_INFINITY
    if (options.enoughLines !== undefined)
      child.stdout.on('data', (chunk: Buffer) => {
        for (let at = chunk.indexOf(0x0a); at >= 0 && leftLines > 0; at = chunk.indexOf(0x0a, at + 1)) leftLines--
        if (leftLines === 0) child.kill('SIGKILL')
      })
    const stdout = collect(child.stdout)
    const stderr = collect(child.stderr)
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      reject(
        error.code === 'ENOENT' ? fault.not_found({ command }, error) : fault.failed_to_start({ command, reason: reasonOf(error) }, error),
      )
    })
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer)
      if (failure) reject(failure)
      else resolve({ exitCode, signal, stdout: stdout(), stderr: stderr() })
    })
    child.stdin.on('error', () => {}) // a command may end without reading its input
    child.stdin.end(options.input)
  })
}

/** Runs `argv` at the person's own terminal, for as long as they want (an editor), and answers its exit code; null after a signal. Faults: `exec.not_found`, `exec.failed_to_start`. */
export function execAtTerminal(
  argv: readonly [string, ...string[]],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number | null> {
  const [command, ...args] = argv
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...env }, stdio: 'inherit' })
    child.once('error', (error: NodeJS.ErrnoException) => {
      const isMissing = error.code === 'ENOENT'
      reject(isMissing ? fault.not_found({ command }, error) : fault.failed_to_start({ command, reason: reasonOf(error) }, error))
    })
    child.once('close', resolve)
  })
}

/** Signals one process. False when there is none; the system's error (`EPERM`) for one that we may not signal. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if (reasonOf(error) === 'ESRCH') return false
    throw error
  }
}
