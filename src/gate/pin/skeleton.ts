// Names that look alike have the same skeleton: Latin, Greek and Cyrillic letters and digits that people confuse stand for one of them.

/** Each first letter stands for those after it (a selection of Unicode TR39's confusables, NFKC forms left out). */
const alike = `
  aаαɑАΑ bЬвВΒ cсςС dԁ eеєҽЕΕ fғ gɡ hһнНΗ iіıɩι jјϳЈ kкκКΚ lΙІӀ1I|ǀ mмМΜ nոηпΝ oоοσ0ОΟ pрρРΡ qԛ rгɾ sѕЅ tтτТΤ uυսц vνѵ wԝωш xхχХΧ yуγүУΥ zᴢΖ
  -‐‑‒–—− _ˍ .․ /⁄∕`
  .trim()
  .split(/\s+/)
  .map((letters) => Array.from(letters))

const standsFor: ReadonlyMap<string, string> = new Map(alike.flatMap(([first, ...rest]) => rest.map((other) => [other, first!] as const)))

/** Equal for two names that a person could take for each other: by letters alike, by letter case, by marks above and below. */
export function skeleton(name: string): string {
  const plain = name.normalize('NFKC').normalize('NFD')
  const letters = Array.from(plain.replaceAll(/[\p{M}\p{Default_Ignorable_Code_Point}]/gu, ''))
  return letters.map((letter) => standsFor.get(letter) ?? standsFor.get(letter.toLowerCase()) ?? letter.toLowerCase()).join('')
}

const scripts = [/\p{Script=Latin}/u, /\p{Script=Greek}/u, /\p{Script=Cyrillic}/u]

/** Latin beside Greek or Cyrillic in one name: there is no honest reason for it. */
export function mixesScripts(name: string): boolean {
  return scripts.filter((script) => script.test(name)).length > 1
}
