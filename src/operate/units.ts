// The services of this machine as systemd has them: asked by property, started and stopped by argv; what runs is read from /proc.
import { readFileSync } from 'node:fs'
import { faults } from '../kernel/fault.ts'
import { type ExecResult, exec } from '../kernel/exec.ts'

const fault = faults('systemd', {
  refused: (d: { what: string; problem: string; unit: string }) => ({
    kind: 'unavailable',
    message: `systemd could not ${d.what}: ${d.problem}`,
    hint: `journalctl -u ${d.unit} -n 50`,
  }),
})

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const env = { PATH: path, LC_ALL: 'C.UTF-8', SYSTEMD_COLORS: '0' }
const defaultTimeoutMs = 120_000

export type UnitState = {
  readonly isLoaded: boolean
  readonly active: string
  readonly sub: string
  readonly result: string
  readonly pid: number
  readonly restarts: number
  readonly exitStatus: number
}

/** What this program does to units, so that tests can watch it. */
export interface Units {
  state(unit: string): Promise<UnitState>
  /** Starts it anew, whatever was counted against it before. Fault `systemd.refused`. */
  restart(unit: string): Promise<void>
  stop(unit: string): Promise<void>
  /** The words that the process of that id was started with; none when it is gone. */
  argvOf(pid: number): readonly string[]
}

/** Runs systemctl (or a sister of it) to its end. */
export function runSystem(argv: readonly [string, ...string[]], timeoutMs = defaultTimeoutMs): Promise<ExecResult> {
  return exec(argv, { env, timeoutMs })
}

async function must(argv: readonly [string, ...string[]], what: string, unit: string): Promise<void> {
  const { exitCode, stderr } = await runSystem(argv)
  if (exitCode !== 0) throw fault.refused({ what, unit, problem: stderr.trim().split('\n')[0] || `exit code ${exitCode}` })
}

/** The units of systemd on this machine. */
export const systemUnits: Units = {
  async state(unit) {
    const names = ['LoadState', 'ActiveState', 'SubState', 'Result', 'MainPID', 'NRestarts', 'ExecMainStatus']
    const { stdout } = await runSystem(['systemctl', 'show', ...names.map((name) => `--property=${name}`), '--', unit])
    const found = new Map(stdout.split('\n').map((line) => [line.split('=', 1)[0]!, line.slice(line.indexOf('=') + 1)]))
    const number = (name: string): number => Number(found.get(name) ?? 0)
    return {
      isLoaded: found.get('LoadState') === 'loaded',
      active: found.get('ActiveState') ?? 'unknown',
      sub: found.get('SubState') ?? 'unknown',
      result: found.get('Result') ?? 'unknown',
      pid: number('MainPID'),
      restarts: number('NRestarts'),
      exitStatus: number('ExecMainStatus'),
    }
  },
  async restart(unit) {
    await runSystem(['systemctl', 'reset-failed', '--', unit]) // its starts so far count no more; it fails where there is nothing to reset
    await must(['systemctl', 'restart', '--', unit], `start ${unit}`, unit)
  },
  stop: (unit) => must(['systemctl', 'stop', '--', unit], `stop ${unit}`, unit),
  argvOf(pid) {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
    } catch {
      return []
    }
  },
}
