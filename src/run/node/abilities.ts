// What a component asks for that its runtime cannot give: told before anything is touched.
import type { Runtime, RuntimeAbility } from '../runtime.ts'
import type { Component } from '../service/config.ts'

const asks: readonly (readonly [RuntimeAbility, (component: Component) => boolean])[] = [
  ['networks', ({ network }) => network !== undefined && network !== 'host'],
  ['volumes', ({ volumes }) => volumes.length > 0],
  ['users', ({ user }) => user !== undefined],
  ['memory-limits', ({ memory }) => memory !== undefined],
  ['cpu-limits', ({ cpus }) => cpus !== undefined],
  ['pid-limits', ({ pids }) => pids !== undefined],
  ['health-checks', ({ health }) => health?.container === true],
  ['exec', ({ health }) => health?.command !== undefined],
  ['stdio', ({ mcp }) => mcp?.stdio !== undefined],
]

export function missingAbilities({ can }: Runtime, component: Component): readonly RuntimeAbility[] {
  return asks.filter(([ability, isAsked]) => isAsked(component) && !can.has(ability)).map(([ability]) => ability)
}
