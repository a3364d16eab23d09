// Whether a GraphQL request only asks: told from its text, and when in doubt it is a change.

/** Block strings, strings and comments, whichever begins first: each may hold what begins another. */
const textOrComment = /"""(?:\\"""|(?!""")[^])*"""|"(?:[^"\\\r\n]|\\.)*"|#[^\r\n]*/g

/** True for a JSON body with one document in which the words of changes stand nowhere outside of strings and comments. */
export function isQuery(body: Uint8Array): boolean {
  try {
    const asked = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as { readonly query?: unknown } | null
    if (typeof asked !== 'object' || typeof asked?.query !== 'string') return false
    const words = asked.query.replace(textOrComment, ' ')
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
