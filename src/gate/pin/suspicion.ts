// What is wrong with a tool's definition at first sight: text that people do not see, and names made to be taken for another.
import type { Definition } from './definition.ts'
import { mixesScripts } from './skeleton.ts'

/** Characters that nobody sees and a model reads, or that turn around what is seen, or that a terminal obeys. */
const hidden: readonly (readonly [what: string, where: RegExp])[] = [
  ['terminal escapes or other control characters', /(?![\t\n\r])\p{Cc}/u],
  ['characters that reverse the direction of writing', /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/],
  // The flags of England, Scotland and Wales are written with a few of them, behind a black flag.
  ['invisible tag characters', /(?<!\u{1f3f4}[\u{e0061}-\u{e007a}]{0,6})[\u{e0000}-\u{e007f}]/u],
  // Joined emoji, and letters of scripts that need joiners, are no secret.
  [
    'zero-width characters',
    /\u034f|[\u180b-\u180d]|[\u00ad\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\u115f\u1160\u3164\uffa0]|(?<!\P{ASCII})[\u200c\u200d]|[\u200c\u200d](?!\P{ASCII})|[\u200c\u200d]{2}/u,
  ],
  ['variation selectors that select nothing', /[\u{e0100}-\u{e01ef}]|[\ufe00-\ufe0f]{2}|(?<=[A-Za-z ])[\ufe00-\ufe0f]/u],
  ['characters of private use', /[\ue000-\uf8ff\u{f0000}-\u{10ffff}]/u],
]

/** In a name, nothing that is not seen has a place. */
const unseenInName = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/u

const maxNameLength = 128
const maxTextLength = 16_384

/** `shadowed`: the upstreams' tools that this name is, or could be taken for. */
export function suspicionsOf(definition: Definition, shadowed: readonly string[]): readonly string[] {
  const { name, texts, ambiguity } = definition
  const found: string[] = []
  if (ambiguity !== undefined) found.push(`it can be read in two ways: ${ambiguity}`)
  if (unseenInName.test(name)) found.push('its name holds characters that nobody sees')
  if (mixesScripts(name)) found.push('its name mixes letters of several scripts')
  if (name.length > maxNameLength) found.push(`its name has more than ${maxNameLength} characters`)
  for (const [what, where] of hidden) if (texts.some((text) => where.test(text))) found.push(`it holds ${what}`)
  if (texts.some((text) => text.length > maxTextLength)) found.push(`it holds a text of more than ${maxTextLength} characters`)
  return [...found, ...shadowed.map((other) => `its name is that of ${other}, or looks like it`)]
}
