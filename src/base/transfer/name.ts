// The name under which a file from outside is stored: whatever it was called, a plain name in one folder that no program and no person misreads.

/** In UTF-8; the rest of a file system's 255 bytes is for what a second file of the same name gets (` (9999)`). */
export const maxNameBytes = 240
const maxExtensionBytes = 24
const nameless = 'file'
/** Names of devices on Windows, with any ending (Win32: Naming Files, Paths, and Namespaces). */
const device = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i

/**
 * A name for a file that somebody else called `text`: the last part of it if it is a path, without control, format and direction characters, without what
 * shells and file systems obey (`<>:"|?*`, leading dots and dashes, trailing dots, device names), at most 240 bytes. Never empty, and the same again for its own result.
 */
export function safeName(text: string): string {
  const last = text
    .toWellFormed()
    .split(/[/\\]/)
    .findLast((part) => !/^[\s.]*$/.test(part))
  const plain = (last ?? '')
    .replaceAll(/\s/g, ' ')
    .replaceAll(/\p{C}/gu, '')
    .replaceAll(/ +/g, ' ')
    .replaceAll(/[<>:"|?*]/g, '_')
  return settled(plain)
}

/** What one rule takes away may lay bare what another one minds: so again, until nothing changes. Each round shortens it, but for one added `_`. */
function settled(name: string): string {
  const short = shortened(name.replace(/^[\s.]+/, '').replace(/[\s.]+$/, ''))
  const known = device.test(short) || short.startsWith('-') ? `_${short.replace(/^-/, '')}` : short
  return known === '' ? nameless : known === name ? name : settled(known)
}

function shortened(name: string): string {
  if (Buffer.byteLength(name) <= maxNameBytes) return name
  const [stem, extension] = splitName(name)
  return Buffer.byteLength(extension) > maxExtensionBytes
    ? cut(name, maxNameBytes)
    : cut(stem, maxNameBytes - Buffer.byteLength(extension)) + extension
}

function cut(text: string, mostBytes: number): string {
  let sizeBytes = 0
  let kept = ''
  for (const character of text) {
    sizeBytes += Buffer.byteLength(character)
    if (sizeBytes > mostBytes) break
    kept += character
  }
  return kept
}

function splitName(name: string): [stem: string, extension: string] {
  const at = name.lastIndexOf('.')
  return at > 0 ? [name.slice(0, at), name.slice(at)] : [name, '']
}

/** The name that the `count`th file called `name` gets: `a.txt`, `a (2).txt`, `a (3).txt`. */
export function numberedName(name: string, count: number): string {
  const [stem, extension] = splitName(name)
  return count < 2 ? name : `${stem} (${count})${extension}`
}
