// What a component, and the container that is made of it, asks of its runtime, held against what that can.
import { madeOf } from './container.ts'
import { fault } from './faults.ts'
import type { ContainerSpec, Runtime, RuntimeAbility } from './runtime.ts'
import type { Component } from './service/config.ts'

/** Without what every runtime can: the machine's own network and its ports, its folders where they are. */
function asksFor(
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

/** What a component asks for, how it is asked for its health included, and this runtime cannot give: told before anything is touched. */
export function missingAbilities({ can }: Pick<Runtime, 'can'>, component: Component): readonly RuntimeAbility[] {
  const { health, mcp } = component
  const ways: readonly (readonly [RuntimeAbility, boolean])[] = [
    ['health-checks', health?.container === true],
    ['exec', health?.command !== undefined],
    ['stdio', mcp?.stdio !== undefined],
  ]
  const asked = [...asksFor(madeOf(component)), ...ways.filter(([, isAsked]) => isAsked).map(([ability]) => ability)]
  return asked.filter((ability) => !can.has(ability))
}
