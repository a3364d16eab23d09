// Signs a package, so that machines which trust the key take it as a release.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createIdentity } from '../../base/identity/identity.ts'
import { command } from '../../base/terminal/command.ts'
import { makeFolder, readText, statOf, writeWhole } from '../../kernel/file.ts'
import { fault } from '../update/faults.ts'
import { signRelease } from '../update/release.ts'
import { indexName, sourceOf, tarballName } from '../update/source.ts'
import { packTarball, unpackTarball } from '../update/tarball.ts'

export default command({
  summary: 'sign a package, so that machines take it as a release',
  description:
    'Adds a manifest of all files of the tarball (npm pack) and its signature, and writes the signed tarball and releases.json to a folder. That folder is a source of updates as it is; served over ' +
    'https it is one too, and so is npm, when the signed tarball is what is published.',
  args: { tarball: { summary: 'what npm pack made', optional: true } },
  flags: {
    key: { summary: 'the file of the signing key', value: 'FILE', required: true },
    'new-key': { summary: 'make that file first, with a new key' },
    out: { summary: 'the folder to write to', value: 'FOLDER', default: '.' },
  },
  examples: [
    ['fairlead operate release --new-key --key release.key', 'make a key; its id is for updates.signers'],
    ['fairlead operate release fairlead-0.2.0.tgz --key release.key --out releases', 'sign a package'],
  ],
  async run({ terminal }, { args: { tarball }, flags }) {
    const identity = flags['new-key'] ? newKey(flags.key) : keyIn(flags.key)
    if (tarball === undefined) return terminal.result({ signer: identity.peerId }, () => identity.peerId)
    if (!statOf(tarball)) throw fault.bad_tarball({ problem: `there is no ${tarball}` })
    const { version, files } = await signRelease(identity, unpackTarball(readFileSync(tarball)))
    const { name } = JSON.parse(Buffer.from(files.find(({ path }) => path === 'package.json')!.bytes).toString('utf8')) as { name: string }
    makeFolder(flags.out, 0o755)
    const path = join(flags.out, tarballName(name, version))
    writeWhole(path, packTarball(files), 0o644)
    const versions = await sourceOf({ source: flags.out, package: name, work: flags.out }, {}).versions()
    writeWhole(join(flags.out, indexName), `${JSON.stringify({ versions })}\n`, 0o644)
    terminal.result({ version, signer: identity.peerId, path }, () => `${path}: release ${version}, signed by ${identity.peerId}`)
  },
})

function newKey(path: string): ReturnType<typeof createIdentity> {
  if (statOf(path)) throw fault.bad_key({ path })
  const identity = createIdentity()
  writeWhole(path, `${Buffer.from(identity.privateKeyRaw).toString('hex')}\n`)
  return identity
}

function keyIn(path: string): ReturnType<typeof createIdentity> {
  const [, hex] = /^([0-9a-f]{64})\s*$/.exec(readText(path) ?? '') ?? []
  if (hex === undefined) throw fault.bad_key({ path })
  return createIdentity(Buffer.from(hex, 'hex'))
}
