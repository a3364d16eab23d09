// May they: one pure decision, deny by default, always with a reason.
import { type ArgumentRules, type Given, argumentJudge } from './argument-rule.ts'
import { bareUri } from './bare-uri.ts'
import { matcher } from './pattern.ts'

export type Kind = 'tool' | 'resource' | 'prompt' | 'method'

/**
 * What a call acts on. `list` stands for what every known principal may send: initialize, ping, lists, logging. Without a name it is nothing that
 * any rule can allow.
 */
export type Target =
  | { readonly kind: Kind; readonly name: string | undefined; /** Of a tool's call. */ readonly given?: Given }
  | { readonly kind: 'list' }

export type Verdict = { readonly allowed: true; readonly reason: string } | { readonly allowed: false; readonly reason: string }

/** Each list holds patterns in which `*` stands for any characters. A list that is empty allows nothing. */
export type Rule = {
  readonly principals: readonly string[]
  readonly upstreams: readonly string[]
  readonly tools: readonly string[]
  readonly resources: readonly string[]
  readonly prompts: readonly string[]
  /** Methods that name none of the above and are none that everybody may send. */
  readonly methods?: readonly string[]
  /** What the arguments of a call must be for its `tools` to be allowed. */
  readonly arguments?: ArgumentRules | undefined
  /** Tools whose calls need a person's yes, whichever rule allows them. */
  readonly approve?: readonly string[]
}

/** What one principal may do at one upstream. */
export interface Permit {
  /** True when some rule names this principal and upstream at all. */
  readonly isKnown: boolean
  /** True when everything of that kind is allowed: then lists need no filter. */
  isOpen(kind: Kind): boolean
  /** True when this may be used in some way, and so belongs into a list: a tool that is allowed for some arguments, too. */
  shows(kind: Kind, name: string | undefined): boolean
  judge(target: Target): Verdict
  /** True for tools of which each call needs a person's yes. */
  needsApproval(tool: string): boolean
}

const maxPermits = 10_000

function listOf(rule: Rule, kind: Kind): readonly string[] {
  return { tool: rule.tools, resource: rule.resources, prompt: rule.prompts, method: rule.methods ?? [] }[kind]
}

function permitOf(rules: readonly Rule[], principal: string, upstream: string): Permit {
  const relevant = rules.filter((rule) => matcher(rule.principals)(principal) && matcher(rule.upstreams)(upstream))
  const isPlain = (rule: Rule, kind: Kind): boolean => kind !== 'tool' || rule.arguments === undefined
  const may = (kind: Kind): ((name: string) => boolean) =>
    matcher(relevant.filter((rule) => isPlain(rule, kind)).flatMap((rule) => listOf(rule, kind)))
  const mays = { tool: may('tool'), resource: may('resource'), prompt: may('prompt'), method: may('method') }
  const conditional = relevant.flatMap(({ tools, arguments: rules }) =>
    rules ? [{ names: matcher(tools), problem: argumentJudge(rules) }] : [],
  )
  const needsApproval = matcher(relevant.flatMap(({ approve = [] }) => approve))
  const isKnown = relevant.length > 0
  const yes: Verdict = { allowed: true, reason: 'a rule allows it' }
  /** Why rules that name this tool do not allow these arguments; undefined when one does, or none names it. */
  const problemOf = (tool: string, given: Given): { readonly problem: string | undefined } | undefined => {
    const naming = conditional.filter(({ names }) => names(tool))
    if (naming.length === 0) return undefined
    const problems = naming.map(({ problem }) => problem(given))
    return { problem: problems.includes(undefined) ? undefined : problems[0] }
  }
  return {
    isKnown,
    isOpen: (kind) => relevant.some((rule) => listOf(rule, kind).includes('*')),
    shows: (kind, name) => name !== undefined && (mays[kind](name) || (kind === 'tool' && conditional.some(({ names }) => names(name)))),
    needsApproval,
    judge(target) {
      if (!isKnown) return { allowed: false, reason: `no rule lets ${principal} use ${upstream}` }
      if (target.kind === 'list') return yes
      const { kind, name } = target
      if (name === undefined) return { allowed: false, reason: `no rule lets ${principal} use a ${kind} of ${upstream} without a name` }
      if (mays[kind](name)) return yes
      const conditions = kind === 'tool' ? problemOf(name, target.given) : undefined
      if (conditions?.problem !== undefined)
        return { allowed: false, reason: `no rule lets ${principal} use the tool ${name} of ${upstream} like this: ${conditions.problem}` }
      if (conditions) return yes
      return {
        allowed: false,
        reason: `no rule lets ${principal} use the ${kind} ${kind === 'resource' ? bareUri(name) : name} of ${upstream}`,
      }
    },
  }
}

/** All rules: ask it for what one principal may do at one upstream. */
export interface Policy {
  permit(principal: string, upstream: string): Permit
}

/** Permits are made once per principal and upstream and kept (bounded), so that a decision on the hot path is a set look-up. */
export function createPolicy(rules: readonly Rule[]): Policy {
  const permits = new Map<string, Permit>()
  return {
    permit(principal, upstream) {
      const key = `${principal}\n${upstream}`
      let permit = permits.get(key)
      if (!permit) {
        if (permits.size >= maxPermits) permits.clear()
        permits.set(key, (permit = permitOf(rules, principal, upstream)))
      }
      return permit
    },
  }
}
