// Roles: named sets of rules, each for whoever holds the role.
import type { Rule } from '../../base/access/policy.ts'
import { fault } from '../faults.ts'
import type { GateConfig } from '../upstream-kind.ts'

/** All rules of a configuration, those of roles with their holders as principals. Fault `gate.unknown_role`. */
export function rulesOf({ rules, roles, principals }: Pick<GateConfig, 'rules' | 'roles' | 'principals'>): readonly Rule[] {
  for (const [name, { roles: held }] of Object.entries(principals)) {
    const unknown = held.find((role) => !Object.hasOwn(roles, role))
    if (unknown !== undefined) throw fault.unknown_role({ name: unknown, place: `gate.principals.${name}.roles` })
  }
  const ofRoles = Object.entries(roles).flatMap(([role, { rules: own }]) => {
    const holders = Object.keys(principals).filter((name) => principals[name]!.roles.includes(role))
    return holders.length === 0 ? [] : own.map((rule) => ({ ...rule, principals: holders }))
  })
  return [...rules, ...ofRoles]
}
