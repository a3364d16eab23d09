// Reads what `tcpdump -X` prints back into the bytes of each TCP stream, so that a word is found even where it lies across lines or packets.

/** What each side of each IPv4 connection sent, in the order it was seen, by `address:port > address:port`. */
export function streamsOf(dump: string): Map<string, Buffer> {
  const streams = new Map<string, Buffer>()
  for (const packet of packetsOf(dump)) {
    if (packet.length < 40 || packet[0]! >> 4 !== 4 || packet[9] !== 6) continue
    const tcp = packet.subarray((packet[0]! & 15) * 4, packet.readUInt16BE(2))
    const payload = tcp.subarray((tcp[12]! >> 4) * 4)
    const end = (at: number, port: number): string => `${[...packet.subarray(at, at + 4)].join('.')}:${tcp.readUInt16BE(port)}`
    const name = `${end(12, 0)} > ${end(16, 2)}`
    streams.set(name, Buffer.concat([streams.get(name) ?? Buffer.alloc(0), payload]))
  }
  return streams
}

/** From the IP header on: the first line of each begins at 0x0000. */
function packetsOf(dump: string): Buffer[] {
  const packets: string[] = []
  for (const [, offset, hex] of dump.matchAll(/^\s+0x([\da-f]{4,}): {2}((?:[\da-f]{2,4} ){1,8})/gm)) {
    if (Number.parseInt(offset!, 16) === 0) packets.push('')
    packets.push((packets.pop() ?? '') + hex!.replaceAll(' ', ''))
  }
  return packets.map((hex) => Buffer.from(hex, 'hex'))
}
