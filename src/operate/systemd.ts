// systemd over D-Bus, by busctl and by argv: what units there are, how they are, and what is to become of them. Its answers are typed values, whatever the language of the machine.
import { fault } from './faults.ts'
import type { Host } from './host.ts'

const bus = ['busctl', '--system', '--json=short', '--timeout=25'] as const
const manager = ['org.freedesktop.systemd1', '/org/freedesktop/systemd1', 'org.freedesktop.systemd1.Manager'] as const
const timeoutMs = 30_000
/** A machine with thousands of units. */
const maxBytes = 8 << 20
const lookAgainMs = 100

const unitTypes = 'service|socket|target|device|mount|automount|swap|timer|path|slice|scope'
/** systemd.unit(5). A name that begins with a dash is one too, but none that anybody asks for here, and it would look like an option. */
const unitGrammar = new RegExp(`^(?=.{1,255}$)[A-Za-z0-9:_.\\\\][A-Za-z0-9:_.\\\\-]*(?:@[A-Za-z0-9:_.\\\\@-]*)?\\.(?:${unitTypes})$`)

/** The whole name of a unit: `.service` may be left out. Fault `operate.bad_unit` for what systemd would not take for one. */
export function unitName(text: string): string {
  const name = new RegExp(`\\.(?:${unitTypes})$`).test(text) ? text : `${text}.service`
  if (!unitGrammar.test(name)) throw fault.bad_unit({ unit: text.slice(0, 64) })
  return name
}

export type UnitState = {
  readonly unit: string
  readonly description: string
  readonly loadState: string
  readonly activeState: string
  readonly subState: string
}

/** The properties of a unit, as D-Bus has them: times in microseconds, numbers that are all ones for "none". */
export type Properties = Readonly<Record<string, unknown>>

export const unitActions = ['start', 'stop', 'restart', 'reload'] as const
export type UnitAction = (typeof unitActions)[number]
const methods = { start: 'StartUnit', stop: 'StopUnit', restart: 'RestartUnit', reload: 'ReloadUnit' } as const

export interface Systemd {
  /** The units that are loaded and fit the pattern. */
  units(pattern: string): Promise<UnitState[]>
  /** What is said of unit files that fit the pattern: `enabled`, `static`, by unit. */
  unitFiles(pattern: string): Promise<ReadonlyMap<string, string>>
  /** Those of the unit, and with `interface` (`Service`) those of its kind. A unit that does not exist has `LoadState` `not-found`. */
  properties(unit: string, kind?: 'Service'): Promise<Properties>
  /** Has it done, and waits until it is, or `signal` is aborted. Faults `operate.systemd_refused`. */
  act(
    unit: string,
    action: UnitAction,
    needs: { readonly wait: (ms: number) => Promise<void>; readonly signal: AbortSignal },
  ): Promise<void>
  /** Has it started at boot, or no longer. */
  setEnabled(unit: string, isEnabled: boolean): Promise<void>
  /** Begins a job that ends everything: `reboot.target`, `poweroff.target`. */
  isolate(target: 'reboot.target' | 'poweroff.target'): Promise<void>
}

export function createSystemd(host: Pick<Host, 'run'>): Systemd {
  const ask = async (...argv: readonly string[]): Promise<unknown> => {
    const { exitCode, stdout, stderr } = await host.run([...bus, 'call', '--', ...argv], timeoutMs, { maxBytes })
    if (exitCode !== 0)
      throw fault.systemd_refused({ reason: (stderr.trim().split('\n').at(-1) ?? '').slice(0, 300) || `exit code ${exitCode}` })
    return stdout.trim() === '' ? undefined : (JSON.parse(stdout) as { data: unknown[] }).data[0]
  }
  const call = (method: string, signature?: string, ...args: readonly string[]): Promise<unknown> =>
    ask(...manager, method, ...(signature === undefined ? [] : [signature, ...args]))
  const all = async (path: string, kind: string): Promise<Properties> => {
    const found = await ask(manager[0], path, 'org.freedesktop.DBus.Properties', 'GetAll', 's', `org.freedesktop.systemd1.${kind}`)
    return Object.fromEntries(Object.entries(found as Record<string, { data: unknown }>).map(([name, { data }]) => [name, data]))
  }
  const pathOf = async (unit: string): Promise<string> => (await call('LoadUnit', 's', unitName(unit))) as string
  return {
    async units(pattern) {
      const rows = (await call('ListUnitsByPatterns', 'asas', '0', '1', pattern)) as string[][]
      return rows.map(([unit, description, loadState, activeState, subState]) => ({
        unit: unit!,
        description: description!,
        loadState: loadState!,
        activeState: activeState!,
        subState: subState!,
      }))
    },
    async unitFiles(pattern) {
      const rows = (await call('ListUnitFilesByPatterns', 'asas', '0', '1', pattern)) as [string, string][]
      return new Map(rows.map(([path, state]) => [path.slice(path.lastIndexOf('/') + 1), state]))
    },
    async properties(unit, kind) {
      const path = await pathOf(unit)
      return { ...(await all(path, 'Unit')), ...(kind ? await all(path, kind) : {}) }
    },
    async act(unit, action, { wait, signal }) {
      const job = (await call(methods[action], 'ss', unitName(unit), 'replace')) as string
      for (;;) {
        const { Job: [, current] = [] } = (await all(await pathOf(unit), 'Unit')) as { Job?: [number, string] }
        if (current !== job) return
        signal.throwIfAborted()
        await wait(lookAgainMs)
      }
    },
    async setEnabled(unit, isEnabled) {
      const name = unitName(unit)
      if (isEnabled) await call('EnableUnitFiles', 'asbb', '1', name, 'false', 'false')
      else await call('DisableUnitFiles', 'asb', '1', name, 'false')
      await call('Reload')
    },
    async isolate(target) {
      await call('StartUnit', 'ss', target, 'replace-irreversibly')
    },
  }
}
