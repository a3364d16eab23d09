// What a line that is too long to be kept still tells by its first and last bytes: whether it is a request or an answer, and its id.

/** How much of each end of an over-long line is kept. */
export const keptBytes = 4_096

/** `id`: its token as it stands there, quotes included; undefined when it cannot be seen. */
export type CutMessage = { readonly kind: 'request' | 'answer' | 'unknown'; readonly id: string | undefined }

const idText = String.raw`0|-?[1-9][0-9]{0,19}|"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}){0,510}"`
const maxIdBytes = 512
/** One whole member whose value is short and no object or list: all that stands before the long one in a message. */
const member = new RegExp(String.raw`\s*[{,]\s*"(\w{1,20})"\s*:\s*(${idText}|true|false|null)(?=\s*[,}])`, 'y')
/** The name of the member that comes next, whatever its value. */
const nextName = /\s*[{,]\s*"(\w{1,20})"\s*:/y
/** The last members of the root object. A quote inside a JSON string has a backslash before it, so that this is never the inside of one. */
const lastMembers = new RegExp(String.raw`,\s*"id"\s*:\s*(${idText})\s*(?:,\s*"(?:jsonrpc|method)"\s*:\s*"[^"\\]{0,200}"\s*){0,2}\}\s*$`)
const hasMethodLast = /,\s*"method"\s*:\s*"[^"\\]{0,200}"\s*(?:,\s*"(?:jsonrpc|id)"\s*:\s*[^{}[\],]{1,512}){0,2}\}\s*$/

/** Looks at the ends of a message that was read past. Trusts nothing in the middle: what cannot be seen at the root is `unknown`. */
export function cutMessage(head: string, tail: string): CutMessage {
  let kind: CutMessage['kind'] = 'unknown'
  let id: string | undefined
  let at = 0
  for (;;) {
    nextName.lastIndex = at
    const name = nextName.exec(head)?.[1]
    if (name === 'method' || name === 'params') kind = 'request'
    if ((name === 'result' || name === 'error') && kind === 'unknown') kind = 'answer'
    member.lastIndex = at
    const found = member.exec(head)
    if (!found) break
    if (found[1] === 'id') id = found[2]
    at = member.lastIndex
  }
  if (hasMethodLast.test(tail)) kind = 'request'
  id ??= lastMembers.exec(tail)?.[1]
  const isId = id !== undefined && !/^[tfn]/.test(id) && Buffer.byteLength(id) <= maxIdBytes
  return { kind, id: isId ? id : undefined }
}
