// What a container asks of its runtime, held against what that can.
import { fault } from './faults.ts'
import type { ContainerSpec, RuntimeAbility } from './runtime.ts'

/** Without what every runtime can: the machine's own network and its ports, its folders where they are. */
export function asksFor(
  spec: Pick<ContainerSpec, 'ports' | 'volumes' | 'network' | 'user' | 'memoryBytes' | 'cpus' | 'pids'>,
): readonly RuntimeAbility[] {
  const { ports, volumes, network, user, memoryBytes, cpus, pids } = spec
  const asked: readonly (readonly [RuntimeAbility, boolean])[] = [
    ['networks', network !== undefined && network !== 'host'],
    ['port-mapping', ports.some(({ hostPort, containerPort }) => hostPort !== containerPort)],
    ['volumes', volumes.some(({ source, target, isReadOnly }) => source !== target || isReadOnly)],
    ['users', user !== undefined],
    ['memory-limits', memoryBytes !== undefined],
    ['cpu-limits', cpus !== undefined],
    ['pid-limits', pids !== undefined],
  ]
  return asked.filter(([, isAsked]) => isAsked).map(([ability]) => ability)
}

/** Fault: `run.cannot`, with all that is lacking. */
export function refuseUnable(runtime: string, can: ReadonlySet<RuntimeAbility>, spec: ContainerSpec): void {
  const abilities = asksFor(spec).filter((ability) => !can.has(ability))
  if (abilities.length > 0) throw fault.cannot({ runtime, place: spec.name, abilities })
}
