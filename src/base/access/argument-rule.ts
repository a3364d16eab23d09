// What a rule demands of the arguments of a call, judged on the JSON text of each value as it stands in the message.
import { matcher } from './pattern.ts'

/** All that is given must hold. */
export type ArgumentRule = {
  /** One of these: a text is a pattern in which `*` stands for any characters, a number or truth value stands for itself. */
  readonly is?: readonly (string | number | boolean)[] | undefined
  /** An absolute path that is this folder or below it, without `.` and `..` on the way. */
  readonly below?: string | undefined
  /** A number, not below and not above these. */
  readonly min?: number | undefined
  readonly max?: number | undefined
  /** The argument may be left out. */
  readonly optional?: boolean | undefined
}

export type ArgumentRules = Readonly<Record<string, ArgumentRule>>

/** The arguments of a call; undefined when what stands in their place is no object. */
export type Given = Iterable<{ readonly name: string; /** The value's JSON text. */ text(): string }> | undefined

/** Names that a less strict reader could take for the same: letters of either case, and those that Unicode holds to be compatible. */
export function sameName(name: string): string {
  return (isPlain.test(name) ? name : name.normalize('NFKC')).toLowerCase()
}

/** Such names are what they are in every normal form; most are, and asking Unicode costs memory and time. */
const isPlain = /^[ -~]*$/

/** Makes the judge of some rules: why they do not allow the given arguments, in words that hold no value; undefined when they do. */
export function argumentJudge(rules: ArgumentRules): (given: Given) => string | undefined {
  const names = new Map(Object.keys(rules).map((name) => [sameName(name), name]))
  const tests = new Map(Object.entries(rules).map(([name, rule]) => [name, valueTest(rule)]))
  const needed = Object.keys(rules).filter((name) => !rules[name]!.optional)
  return (given) => {
    if (!given) return 'its arguments are no object'
    const seen = new Set<string>()
    for (const one of given) {
      const name = names.get(sameName(one.name))
      if (name === undefined) continue
      if (one.name !== name) return `an argument differs from ${name} only in letter case`
      if (seen.has(name)) return `the argument ${name} stands twice`
      seen.add(name)
      if (!tests.get(name)!(one.text())) return `the argument ${name} is none that a rule allows`
    }
    const missing = needed.find((name) => !seen.has(name))
    return missing === undefined ? undefined : `the argument ${missing} is missing`
  }
}

function valueTest({ is, below, min, max }: ArgumentRule): (text: string) => boolean {
  const fits = is && matcher(is.filter((value) => typeof value === 'string'))
  const values = is && new Set<unknown>(is.filter((value) => typeof value !== 'string'))
  const isNumeric = min !== undefined || max !== undefined
  return (text) => {
    if (text.startsWith('"')) {
      if (isNumeric) return false
      const value = JSON.parse(text) as string
      return (!fits || fits(value)) && (below === undefined || isBelow(below, value))
    }
    if (below !== undefined) return false
    if (text === 'true' || text === 'false') return !isNumeric && (values?.has(text === 'true') ?? false)
    const value = exactNumber(text)
    return value !== undefined && (!values || values.has(value)) && value >= (min ?? -Infinity) && value <= (max ?? Infinity)
  }
}

/** Beyond this, two numbers that a server may tell apart are one for us. */
const exactDigits = 15

/** The number that the text says exactly; undefined when it says something else, or more digits than a double holds. */
function exactNumber(text: string): number | undefined {
  const digits = /^-?(\d+(?:\.\d+)?)(?:[eE][-+]?\d+)?$/.exec(text)?.[1]
  if (digits === undefined || digits.replace('.', '').replace(/^0+/, '').length > exactDigits) return undefined
  const value = Number(text)
  return Number.isFinite(value) && (value !== 0 || /^[0.]*$/.test(digits)) ? value : undefined
}

function isBelow(folder: string, path: string): boolean {
  const base = folder.replace(/\/+$/, '')
  if (path.includes('\0') || !path.startsWith('/') || path.split('/').some((part) => part === '.' || part === '..')) return false
  return path === base || path.startsWith(`${base}/`)
}
