// Where releases come from: a folder, an https:// address, or npm. None of them is believed in anything: what counts is the signature inside of a release.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createHttpClient } from '../../base/http/client.ts'
import { exec } from '../../kernel/exec.ts'
import { asFault, reasonOf } from '../../kernel/fault.ts'
import { makeFolder, readText, removeFolder, statOf } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'
import { fault } from './faults.ts'
import { maxTarballBytes } from './tarball.ts'
import { isVersion, newestFirst } from './version.ts'

export interface Source {
  /** Newest first. Fault `update.no_source`. */
  versions(): Promise<readonly string[]>
  /** Faults `update.no_source`, `update.no_such_version`. */
  tarball(version: string): Promise<Uint8Array>
}

export type SourceSettings = {
  /** `npm`, an https:// address, a folder, or one tarball. */
  readonly source: string
  readonly package: string
  readonly authority?: string | undefined
  /** A folder of ours, for what npm brings. */
  readonly work: string
}

export const indexName = 'releases.json'
const maxIndexBytes = 256 << 10
const npmTimeoutMs = 300_000

export function sourceOf(settings: SourceSettings, env: Readonly<Record<string, string | undefined>>): Source {
  if (settings.source === 'npm') return npmSource(settings, env)
  if (settings.source.startsWith('https://')) return httpsSource(settings)
  return folderSource(settings)
}

/** As npm calls the file of a package. */
export function tarballName(name: string, version: string): string {
  return `${name.replace(/^@/, '').replace('/', '-')}-${version}.tgz`
}

function folderSource({ source, package: name }: SourceSettings): Source {
  const cannot = (error: unknown): never => {
    throw fault.no_source({ source, problem: reasonOf(error) }, error)
  }
  const read = (path: string): Uint8Array => {
    const stat = statOf(path)
    if (!stat?.isFile() || stat.size > maxTarballBytes)
      throw fault.no_source({ source: path, problem: `it is no file of at most ${maxTarballBytes} bytes` })
    return readFileSync(path)
  }
  return {
    async versions() {
      try {
        const [begin, end] = tarballName(name, '\0').split('\0') as [string, string]
        const names = readdirSync(source).filter((file) => file.startsWith(begin) && file.endsWith(end))
        return newestFirst(names.map((file) => file.slice(begin.length, -end.length)))
      } catch (error) {
        return cannot(error)
      }
    },
    async tarball(version) {
      const path = join(source, tarballName(name, version))
      if (!statOf(path)) throw fault.no_such_version({ version, source })
      return read(path)
    },
  }
}

function httpsSource({ source, package: name, authority }: SourceSettings): Source {
  const base = source.endsWith('/') ? source : `${source}/`
  const get = async (file: string, maxBytes: number): Promise<Buffer | undefined> => {
    const client = createHttpClient({ authority: authority === undefined ? undefined : readText(authority) })
    try {
      const response = await client.send({ method: 'GET', url: new URL(file, base), headers: {} })
      if (response.statusCode === 404) return undefined
      if (response.statusCode !== 200) throw new Error(`${file}: HTTP status ${response.statusCode}`)
      const parts: Buffer[] = []
      let sizeBytes = 0
      for await (const part of response as AsyncIterable<Buffer>) {
        if ((sizeBytes += part.length) > maxBytes) throw new Error(`${file} has more than ${maxBytes} bytes`)
        parts.push(part)
      }
      return Buffer.concat(parts)
    } catch (error) {
      throw fault.no_source({ source, problem: reasonOf(error) }, error)
    } finally {
      client.close()
    }
  }
  return {
    async versions() {
      const text = await get(indexName, maxIndexBytes)
      if (!text) throw fault.no_source({ source, problem: `there is no ${indexName}` })
      return versionsIn(text.toString('utf8'), source)
    },
    async tarball(version) {
      const found = await get(tarballName(name, version), maxTarballBytes)
      if (!found) throw fault.no_such_version({ version, source })
      return found
    },
  }
}

function versionsIn(text: string, source: string): readonly string[] {
  try {
    const found = JSON.parse(text) as unknown
    const list = Array.isArray(found) ? found : typeof found === 'string' ? [found] : (found as { versions?: unknown }).versions
    if (Array.isArray(list)) return newestFirst(list.filter((one): one is string => typeof one === 'string' && isVersion(one)))
  } catch {
    // said below
  }
  throw fault.no_source({ source, problem: 'its list of versions cannot be read' })
}

function npmSource(
  { package: name, work }: SourceSettings,
  { PATH = '/usr/local/bin:/usr/bin:/bin', HOME = '/root' }: Readonly<Record<string, string | undefined>>,
): Source {
  const npm = async (...words: readonly string[]): Promise<string> => {
    try {
      const { exitCode, stdout, stderr } = await exec(['npm', ...words], { env: { PATH, HOME }, timeoutMs: npmTimeoutMs })
      if (exitCode === 0) return stdout
      throw fault.no_source({ source: 'npm', problem: stderr.trim().split('\n')[0] || `npm ended with exit code ${exitCode}` })
    } catch (error) {
      throw fault.no_source({ source: 'npm', problem: asFault(error).message }, error)
    }
  }
  return {
    versions: async () => versionsIn(await npm('view', '--json', '--', name, 'versions'), 'npm'),
    async tarball(version) {
      const folder = join(work, `npm-${randomId(6)}`)
      makeFolder(folder)
      try {
        await npm('pack', '--silent', '--ignore-scripts', `--pack-destination=${folder}`, '--', `${name}@${version}`)
        return readFileSync(join(folder, tarballName(name, version)))
      } finally {
        removeFolder(folder)
      }
    },
  }
}
