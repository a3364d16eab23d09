// Patterns of rules: `*` stands for any characters, everything else for itself.

/** True for texts that one of the patterns fits; never, when there is none. */
export function matcher(patterns: readonly string[]): (text: string) => boolean {
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
