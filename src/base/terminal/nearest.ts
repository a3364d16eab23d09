// Finds the word that was probably meant, for "did you mean" hints on commands, flags and configuration keys.

const maxWordLength = 64

/** Optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours. */
function distance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const differs = a[row - 1] === b[column - 1] ? 0 : 1
      let least = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + differs)
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        least = Math.min(least, before[column - 2]! + 1)
      current.push(least)
    }
    before = last
    last = current
  }
  return last[b.length]!
}

/** The candidate nearest to `word`, letter case aside, or undefined when none is near: at most a third of its letters may differ and at most three, or it is a beginning. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > maxWordLength) return undefined
  let best: string | undefined
  let least = Math.min(3, Math.max(1, Math.floor(word.length / 3))) + 1
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= least) continue
    const apart = distance(word.toLowerCase(), candidate.toLowerCase())
    if (apart >= least) continue
    least = apart
    best = candidate
  }
  return best ?? (word.length >= 3 ? [...candidates].find((candidate) => candidate.startsWith(word)) : undefined)
}
