// May they: one pure decision, deny by default, always with a reason.
import { bareUri } from './bare-uri.ts'

export type Kind = 'tool' | 'resource' | 'prompt' | 'method'

/**
 * What a call acts on. `list` stands for what every known principal may send: initialize, ping, lists, logging. Without a name it is nothing that
 * any rule can allow.
 */
export type Target = { readonly kind: Kind; readonly name: string | undefined } | { readonly kind: 'list' }

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
}

/** What one principal may do at one upstream. */
export interface Permit {
  /** True when some rule names this principal and upstream at all. */
  readonly isKnown: boolean
  /** True when everything of that kind is allowed: then lists need no filter. */
  isOpen(kind: Kind): boolean
  judge(target: Target): Verdict
}

const maxPermits = 10_000

function matcher(patterns: readonly string[]): (text: string) => boolean {
  if (patterns.includes('*')) return () => true
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')))
  const wild = patterns.filter((pattern) => pattern.includes('*')).map((pattern) => pattern.split('*'))
  return (text) => exact.has(text) || wild.some((parts) => fits(parts, text))
}

/** Linear in the text: a pattern from a configuration can never be made to backtrack. */
function fits(parts: readonly string[], text: string): boolean {
  const first = parts[0]!
  const last = parts.at(-1)!
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  let at = first.length
  const end = text.length - last.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}

function listOf(rule: Rule, kind: Kind): readonly string[] {
  return { tool: rule.tools, resource: rule.resources, prompt: rule.prompts, method: rule.methods ?? [] }[kind]
}

function permitOf(rules: readonly Rule[], principal: string, upstream: string): Permit {
  const relevant = rules.filter((rule) => matcher(rule.principals)(principal) && matcher(rule.upstreams)(upstream))
  const may = (kind: Kind): ((name: string) => boolean) => matcher(relevant.flatMap((rule) => listOf(rule, kind)))
  const mays = { tool: may('tool'), resource: may('resource'), prompt: may('prompt'), method: may('method') }
  const isKnown = relevant.length > 0
  const yes: Verdict = { allowed: true, reason: 'a rule allows it' }
  return {
    isKnown,
    isOpen: (kind) => relevant.some((rule) => listOf(rule, kind).includes('*')),
    judge(target) {
      if (!isKnown) return { allowed: false, reason: `no rule lets ${principal} use ${upstream}` }
      if (target.kind === 'list') return yes
      const { kind, name } = target
      if (name === undefined) return { allowed: false, reason: `no rule lets ${principal} use a ${kind} of ${upstream} without a name` }
      if (mays[kind](name)) return yes
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
