// Newline-delimited JSON as it comes: bytes cut anywhere become values, line by line, in bounded memory.

export interface NdjsonReader {
  /** The values that are whole with these bytes; empty lines are passed over. Throws an `Error` for anything else, and is not to be used then. */
  push(bytes: Uint8Array): unknown[]
}

/** Holds at most one line of `maxLineBytes`. Lines are UTF-8, and end in a line feed; a carriage return before it is blank to JSON. */
export function ndjsonReader(maxLineBytes: number): NdjsonReader {
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let parts: Uint8Array[] = []
  let heldBytes = 0
  const keep = (part: Uint8Array): void => {
    if (part.length === 0) return
    heldBytes += part.length
    if (heldBytes > maxLineBytes) throw new Error(`a line has more than ${maxLineBytes} bytes`)
    parts.push(part)
  }
  const takeLine = (): string => {
    const line = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
    parts = []
    heldBytes = 0
    try {
      return utf8.decode(line)
    } catch {
      throw new Error('a line is no UTF-8')
    }
  }
  return {
    push(bytes) {
      const values: unknown[] = []
      let from = 0
      for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, from)) {
        keep(bytes.subarray(from, end))
        from = end + 1
        const line = takeLine()
        if (line.trim() !== '') values.push(parsed(line))
      }
      keep(bytes.subarray(from))
      return values
    },
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    throw new Error('a line is no JSON')
  }
}
