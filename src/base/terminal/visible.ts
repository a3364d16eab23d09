// Text that came from outside, made harmless for a terminal: what one would obey is shown instead.

/** Text from outside for a terminal: control, format and unassigned characters (escape sequences, reversed writing) as `\\u{1b}`; line ends and joined emoji stay. */
export function visibleText(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    character === '\n' || character === '\u200d' ? character : `\\u{${character.codePointAt(0)!.toString(16)}}`,
  )
}

/** JSON leaves C1 controls and format characters as they are, and a terminal may obey them: outside strings there are none, and inside an escape means the same. */
export function visibleJson(json: string): string {
  return json.replaceAll(/[^\P{C}\n]/gu, (character) =>
    Array.from({ length: character.length }, (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
  )
}
