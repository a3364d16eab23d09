// Tells somebody: a command of the operator's, by argv and never through a shell, at most once in a while for each place.
import type { Clock } from '../../kernel/clock.ts'
import { exec } from '../../kernel/exec.ts'
import { reasonOf } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { type Place, placeText } from '../container.ts'
import type { Registry } from './registry.ts'

export type AlertSettings = { readonly node: string; readonly command: readonly string[]; readonly cooldownMs: number }
type AlertNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly registry: Registry
  readonly env: Readonly<Record<string, string | undefined>>
}

const timeoutMs = 30_000

/** What happened goes to it in its environment: FAIRLEAD_NODE, _SERVICE, _COMPONENT, _EVENT, _DETAIL. The cooldown survives a restart: it is told by the events. */
export async function alert(
  { clock, log, registry, env }: AlertNeeds,
  { node, command, cooldownMs }: AlertSettings,
  place: Place,
  event: string,
  detail: string,
): Promise<void> {
  const [first, ...rest] = command
  if (first === undefined || registry.count(place, 'alerted', clock.now() - cooldownMs) > 0) return
  registry.note(place, 'alerted', `${event}: ${detail}`)
  const said = {
    PATH: env['PATH'] ?? '/usr/bin:/bin',
    FAIRLEAD_NODE: node,
    FAIRLEAD_SERVICE: place.service,
    FAIRLEAD_COMPONENT: place.component,
    FAIRLEAD_EVENT: event,
    FAIRLEAD_DETAIL: detail,
  }
  try {
    const { exitCode, stderr } = await exec([first, ...rest], { env: said, timeoutMs })
    if (exitCode !== 0) log.warn('run.alert_failed', { place: placeText(place), exitCode, stderr: stderr.slice(0, 500) })
  } catch (error) {
    log.warn('run.alert_failed', { place: placeText(place), reason: reasonOf(error) })
  }
}
