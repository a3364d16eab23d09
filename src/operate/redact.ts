// Takes what looks like a secret out of command lines before an agent sees them. A guess, on the careful side: what a rule hits is replaced whole.

const mark = '[redacted]'
const secretName = String.raw`[\w.-]*(?:pass(?:wd|word|phrase)?|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credential|auth(?:orization)?|cookie|session[-_]?id)[\w-]*`
const nameAlone = new RegExp(`^--?${secretName}$`, 'i')
const nameAndValue = new RegExp(
  `((?:^|[\\s;&?,'"=])(?:--?)?${secretName}["']?\\s*[=:]\\s*["']?)([^\\s;&,'"]+(?:\\s+(?<=(?:bearer|basic)\\s+)[^\\s'"]+)?)`,
  'gi',
)
const scheme = /\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}/gi
const userInfo = /\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*:)[^\s@/]+@/gi
const knownShapes =
  /\b(?:gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|sk-[\w-]{16,}|xox[abprs]-[\w-]{8,}|AKIA[0-9A-Z]{16}|npm_\w{20,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*)/g
const long = /[A-Za-z0-9_+=-]{32,}/g

/** Long words that mix lower case, upper case and digits are keys more often than names. */
function isRandomLooking(word: string): boolean {
  return /[a-z]/.test(word) && /[A-Z]/.test(word) && /\d/.test(word)
}

/** The arguments with what looks like a secret replaced; there are as many as before. */
export function redactArguments(args: readonly string[]): string[] {
  return args.map((arg, index) => {
    const before = args[index - 1]
    if (index > 0 && before !== undefined && nameAlone.test(before) && !arg.startsWith('-')) return mark
    return redactText(arg)
  })
}

export function redactText(text: string): string {
  return text
    .replace(scheme, (_, word: string) => `${word} ${mark}`)
    .replace(userInfo, `$1${mark}@`)
    .replace(nameAndValue, `$1${mark}`)
    .replace(knownShapes, mark)
    .replace(long, (word) => (isRandomLooking(word) ? mark : word))
}
