// Writes `active` in a service file and leaves every other byte as it is: a person's comments and order stay.
const line = /^([ \t]*(?:active|"active"|'active')[ \t]*=[ \t]*)(?:true|false)/m

/** The same text with `active` set. The text is a valid service file. */
export function withActive(text: string, active: boolean): string {
  const { head, rest } = parts(text)
  if (line.test(head)) return head.replace(line, `$1${active}`) + rest
  if (active) return text // it is the default
  const isOpen = head !== '' && !head.endsWith('\n')
  return `${head.trimEnd()}${head.trim() === '' ? '' : '\n'}active = ${active}\n${isOpen || rest === '' ? '' : '\n'}${rest}`
}

/** What stands before the first table: keys of the file itself. */
function parts(text: string): { readonly head: string; readonly rest: string } {
  const at = text.search(/^[ \t]*\[/m)
  return at < 0 ? { head: text, rest: '' } : { head: text.slice(0, at), rest: text.slice(at) }
}
