// Version numbers of releases (semver.org 2.0.0, without build metadata), and which of two is newer.

/** Of a whole version; such a text is also a safe name of a folder. */
export const versionForm = /^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(?:-([0-9A-Za-z-]{1,32}(?:\.[0-9A-Za-z-]{1,32}){0,7}))?$/

/** Whether it is one. */
export function isVersion(text: string): boolean {
  return versionForm.test(text)
}

/** Below 0 when `a` is older than `b`, above 0 when newer (semver §11). */
export function compareVersions(a: string, b: string): number {
  const [, ...left] = versionForm.exec(a) ?? []
  const [, ...right] = versionForm.exec(b) ?? []
  for (let at = 0; at < 3; at++) if (left[at] !== right[at]) return Number(left[at]) - Number(right[at])
  const [before, after] = [left[3], right[3]]
  if (before === after) return 0
  if (before === undefined || after === undefined) return before === undefined ? 1 : -1
  return comparePrereleases(before.split('.'), after.split('.'))
}

function comparePrereleases(left: readonly string[], right: readonly string[]): number {
  for (const [at, one] of left.entries()) {
    const other = right[at]
    if (other === undefined) return 1
    if (one === other) continue
    const [isNumber, isOtherNumber] = [/^\d+$/.test(one), /^\d+$/.test(other)]
    if (isNumber && isOtherNumber) return Number(one) - Number(other)
    if (isNumber !== isOtherNumber) return isNumber ? -1 : 1
    return one < other ? -1 : 1
  }
  return left.length - right.length
}

/** Newest first. */
export function newestFirst(versions: readonly string[]): readonly string[] {
  return versions.filter(isVersion).toSorted((a, b) => compareVersions(b, a))
}
