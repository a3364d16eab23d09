// The two packets of the search on a local network: multicast DNS (RFC 6762) with one question, "where does this peer listen?", and its answer (spec/lan.md).
// Both are one sequence of bytes for what they say, so that nothing of a stranger's packet has to be understood before it is taken or dropped.

/** Multicast DNS: RFC 6762, section 3. */
export const lanGroup = '224.0.0.251'
export const lanPort = 5353

const suffix = ['_fairlead', '_tcp', 'local']
const txt = 16
const internet = 1
/** What asks from a port of its own may keep the answer for no longer (RFC 6762, section 6.7). */
const ttlSeconds = 10

/** Asks for the peer; `id` (16 bits) comes back with the answer. */
export function lanQuestion(peerId: string, id: number): Buffer {
  const labels = [peerId, ...suffix].flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')])
  return Buffer.concat([words(id, 0, 1, 0, 0, 0), ...labels, Buffer.from([0]), words(txt, internet)])
}

/** Says on which TCP port the peer listens, at the address from which this is sent. */
export function lanAnswer(peerId: string, id: number, port: number): Buffer {
  const text = `port=${port}`
  return Buffer.concat([
    words(id, 0x84_00, 1, 1, 0, 0), // an answer, authoritative
    lanQuestion(peerId, id).subarray(12), // who asks from a port of its own gets the question back, too
    words(0xc0_0c, txt, internet, 0, ttlSeconds, text.length + 1), // its name again
    Buffer.from([text.length]),
    Buffer.from(text, 'latin1'),
  ])
}

/** The id of a question for this peer; undefined for any other packet. */
export function lanQuestionId(bytes: Buffer, peerId: string): number | undefined {
  if (bytes.length < 2) return undefined
  const id = bytes.readUInt16BE()
  return bytes.equals(lanQuestion(peerId, id)) ? id : undefined
}

/** The port in an answer to that question; undefined for any other packet. */
export function lanAnswerPort(bytes: Buffer, peerId: string, id: number): number | undefined {
  const port = Number(/port=([1-9]\d{0,4})$/.exec(bytes.toString('latin1', Math.max(0, bytes.length - 10)))?.[1])
  return port <= 65_535 && bytes.equals(lanAnswer(peerId, id, port)) ? port : undefined
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2)
  for (const [at, value] of values.entries()) bytes.writeUInt16BE(value, at * 2)
  return bytes
}
