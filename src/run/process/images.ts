// Images of plain processes: folders `<name>/<tag>/`, told apart by what is in them.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../../kernel/fault.ts'
import { fault } from '../faults.ts'
import { splitReference } from '../reference.ts'

const maxEntries = 200_000
const maxImages = 10_000
const maxDepth = 8
/** Parts of a name as they are in registries: no `.`, no `..`, nothing empty, so that no reference leaves the folder. */
const namePart = /^[a-z0-9][\w.:-]*$/i

export type ImageFolder = { readonly folder: string; readonly digest: string }

/** The image that a reference means now, under `root`. Fault: `run.runtime_refused` when it cannot be read, or has too many files. */
export async function findImageFolder(root: string, reference: string): Promise<ImageFolder | undefined> {
  const { name, tag, digest } = splitReference(reference)
  const isNamed = name.split('/').every((part) => namePart.test(part))
  if (digest === undefined) {
    if (!isNamed || tag === undefined || !namePart.test(tag)) return undefined
    const folder = join(root, name, tag)
    return (await isFolder(folder)) ? { folder, digest: await treeDigest(folder) } : undefined
  }
  const places = name === '' ? await imageFolders(root) : isNamed ? await foldersIn(join(root, name)) : []
  for (const folder of places) if ((await treeDigest(folder)) === digest) return { folder, digest }
  return undefined
}

/**
 * SHA-256 over a tree: for every entry below it, in the order of its names' bytes, kind, mode, name, and content (of a link: where it leads). Owners and times do not count.
 */
export async function treeDigest(folder: string): Promise<string> {
  const hash = createHash('sha256').update('fairlead-image/1\n')
  let entries = 0
  const walk = async (path: string, below: string): Promise<void> => {
    const names = (await readdir(path)).map((name) => Buffer.from(name)).sort((a, b) => Buffer.compare(a, b))
    for (const bytes of names) {
      const name = bytes.toString()
      if (++entries > maxEntries) throw refused(folder, `it holds more than ${maxEntries} files`)
      const inner = join(path, name)
      const inside = below === '' ? name : `${below}/${name}`
      const stat = await lstat(inner)
      const mode = (stat.mode & 0o777).toString(8)
      if (stat.isDirectory()) {
        hash.update(`folder ${mode} ${JSON.stringify(inside)}\n`)
        await walk(inner, inside)
      } else if (stat.isSymbolicLink()) hash.update(`link ${JSON.stringify(inside)} ${JSON.stringify(await readlink(inner))}\n`)
      else if (stat.isFile()) hash.update(`file ${mode} ${JSON.stringify(inside)} ${await fileDigest(inner)}\n`)
      else throw refused(folder, `${inside} is neither file, folder nor link`)
    }
  }
  try {
    await walk(folder, '')
  } catch (error) {
    if ((error as { code?: unknown }).code === 'run.runtime_refused') throw error
    throw refused(folder, reasonOf(error), error)
  }
  return `sha256:${hash.digest('hex')}`
}

async function fileDigest(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

function refused(folder: string, reason: string, cause?: unknown): Error {
  return fault.runtime_refused({ runtime: 'process', doing: `read the image ${folder}`, reason }, cause)
}

async function isFolder(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() === true
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isDirectory() && namePart.test(entry.name)).map((entry) => join(folder, entry.name))
}

/** Every folder that may be an image. A name has as many parts as it likes, so below the first nothing tells a name from an image, until there is a file. */
async function imageFolders(root: string): Promise<string[]> {
  const found: string[] = []
  const walk = async (folder: string, depth: number): Promise<void> => {
    for (const inner of await foldersIn(folder)) {
      if (depth > 0) found.push(inner)
      if (found.length > maxImages) throw refused(root, `there are more than ${maxImages} images`)
      const hasFile = (await readdir(inner, { withFileTypes: true })).some((entry) => !entry.isDirectory())
      if (depth < maxDepth && !hasFile) await walk(inner, depth + 1)
    }
  }
  await walk(root, 0)
  return found
}
