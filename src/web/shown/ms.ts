// How long something took, with as many digits as a person can use.

export function msText(ms: number): string {
  if (ms >= 60_000) return `${(ms / 60_000).toFixed(1)} min`
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(ms >= 10_000 ? 0 : 1)} s`
  return `${ms >= 10 ? Math.round(ms) : ms.toFixed(1)} ms`
}
