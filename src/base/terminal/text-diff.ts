// Shows what a change does to a text: a unified diff of one hunk, for a person to read before it is made.

/** With their line ends; only the last may have none. */
function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? []
}

/** Control characters in caret notation (`^M`) and those that turn text around as `�`, so that no text can play tricks on a terminal. */
function visible(line: string): string {
  return line.replace(/(?!\t)[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu, (letter) =>
    letter < ' ' ? `^${String.fromCharCode(letter.charCodeAt(0) + 64)}` : '�',
  )
}

function marked(mark: ' ' | '-' | '+', lines: readonly string[]): string[] {
  return lines.flatMap((line) =>
    line.endsWith('\n') ? [mark + visible(line.slice(0, -1))] : [mark + visible(line), '\\ No newline at end of file'],
  )
}

/** One unchanged line is shown on each side: those further off are nobody's business, and may hold secrets. `before` is undefined for a new file. */
export function textDiff(file: string, before: string | undefined, after: string, around = 1): string {
  const [old, now] = [linesOf(before ?? ''), linesOf(after)]
  const shorter = Math.min(old.length, now.length)
  let head = 0
  while (head < shorter && old[head] === now[head]) head++
  let tail = 0
  while (tail < shorter - head && old.at(-1 - tail) === now.at(-1 - tail)) tail++
  if (head === old.length && head === now.length) return ''
  const from = Math.max(0, head - around)
  const rest = Math.max(0, tail - around)
  const [oldCount, nowCount] = [old.length - rest - from, now.length - rest - from]
  const range = (count: number): string => `${count === 0 ? from : from + 1},${count}`
  return [
    `--- ${before === undefined ? '/dev/null' : file}`,
    `+++ ${file}`,
    `@@ -${range(oldCount)} +${range(nowCount)} @@`,
    ...marked(' ', old.slice(from, head)),
    ...marked('-', old.slice(head, old.length - tail)),
    ...marked('+', now.slice(head, now.length - tail)),
    ...marked(' ', old.slice(old.length - tail, old.length - rest)),
  ].join('\n')
}
