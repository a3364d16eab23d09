// Whether a GraphQL request only asks: told from its text, and when in doubt it is a change.

const blockString = /"""(?:[^"\\]|\\.|"(?!""))*"""/gs
const textString = /"(?:[^"\\\n]|\\.)*"/g
const comment = /#[^\n]*/g

/** True for a JSON body with one document in which the words of changes stand nowhere outside of strings and comments. */
export function isQuery(body: Uint8Array): boolean {
  try {
    const asked = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as { readonly query?: unknown } | null
    if (typeof asked !== 'object' || typeof asked?.query !== 'string') return false
    const words = asked.query.replace(blockString, ' ').replace(textString, ' ').replace(comment, ' ')
    return !words.includes('"') && !/\b(?:mutation|subscription)\b/.test(words)
  } catch {
    return false
  }
}

/** An answer to a query that is no whole answer: GraphQL says so in the body, with status 200. */
export function hasErrors(body: Uint8Array): boolean {
  try {
    const answer = JSON.parse(Buffer.from(body).toString('utf8')) as { readonly errors?: unknown } | null
    return typeof answer !== 'object' || answer === null || answer.errors !== undefined
  } catch {
    return true
  }
}
