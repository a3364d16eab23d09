// Bech32 (BIP 173): how age writes its keys as text.
const letters = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'
const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]

/** The bytes as `<prefix>1<data><checksum>`, in lower case. */
export function bech32(prefix: string, bytes: Uint8Array): string {
  const data = groupsOf(bytes)
  const head = [...Buffer.from(prefix)]
  const expanded = [...head.map((code) => code >> 5), 0, ...head.map((code) => code & 31)]
  const sum = checksum([...expanded, ...data, 0, 0, 0, 0, 0, 0]) ^ 1
  const tail = [25, 20, 15, 10, 5, 0].map((shift) => (sum >> shift) & 31)
  return `${prefix}1${[...data, ...tail].map((group) => letters[group]).join('')}`
}

/** Groups of five bits, the last one filled with zeros. */
function groupsOf(bytes: Uint8Array): number[] {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{1,5}/g) ?? []).map((group) => Number.parseInt(group.padEnd(5, '0'), 2))
}

function checksum(groups: readonly number[]): number {
  let sum = 1
  for (const group of groups) {
    const top = sum >> 25
    sum = ((sum & 0x1ffffff) << 5) ^ group
    generators.forEach((generator, bit) => {
      if ((top >> bit) & 1) sum ^= generator
    })
  }
  return sum
}
