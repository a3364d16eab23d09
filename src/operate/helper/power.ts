// Turning the machine off or on again: planned, told, and then done, unless it is cancelled before.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { fault } from '../faults.ts'
import type { Systemd } from '../systemd.ts'
import type { HelperRecord } from './record.ts'

const targets = { reboot: 'reboot.target', shutdown: 'poweroff.target' } as const
export type PowerAction = keyof typeof targets

export type PowerPlan = { readonly action: PowerAction; readonly dueAt: string; readonly reason: string }

export interface Power {
  /** One at a time; `go` lets its time run, which is called when whoever asked has been told. Fault `operate.power_busy`. */
  plan(action: PowerAction, delayMs: number, reason: string): { readonly dueAt: string; readonly go: () => void }
  /** What was planned, and is no longer; undefined: nothing was. */
  cancel(): PowerPlan | undefined
}

export type PowerNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly systemd: Pick<Systemd, 'isolate'>
  readonly record: Pick<HelperRecord, 'note'>
  /** Asked when the time has come: a sandbox may have been set meanwhile. */
  readonly isReal: () => Promise<boolean>
}

export function createPower({ clock, log, systemd, record, isReal }: PowerNeeds): Power {
  let planned: (PowerPlan & { stop: () => void }) | undefined
  const act = async ({ action, reason }: PowerPlan): Promise<void> => {
    try {
      if (!(await isReal())) throw fault.sandboxed_meanwhile({ action })
      await record.note('power.begin', { action, reason })
      await systemd.isolate(targets[action])
    } catch (error) {
      planned = undefined
      const { message } = asFault(error)
      log.error('helper.power.failed', { action, error: message })
      await record.note('power.failed', { action, reason: message })
    }
  }
  return {
    plan(action, delayMs, reason) {
      if (planned) throw fault.power_busy(planned)
      const plan = { action, reason, dueAt: new Date(clock.now() + delayMs).toISOString(), stop: () => {} }
      planned = plan
      const go = (): void => {
        if (planned === plan) plan.stop = clock.after(delayMs, () => void act(plan))
      }
      return { dueAt: plan.dueAt, go }
    },
    cancel() {
      const was = planned
      was?.stop()
      planned = undefined
      return was && { action: was.action, dueAt: was.dueAt, reason: was.reason }
    },
  }
}
