// The machine as its kernel shows it: small text files below /proc, /sys and /etc, read with bounds; an absence is told with its reason.
import { access, constants, open, readdir, readlink, statfs } from 'node:fs/promises'
import { machine, networkInterfaces } from 'node:os'
import { type ExecOptions, type ExecResult, exec } from '../kernel/exec.ts'

/** What cannot be known here, and why. Tools answer with it instead of inventing a value. */
export type Unavailable = { unavailable: string }

export type Address = { readonly family: 'IPv4' | 'IPv6'; readonly address: string; readonly prefixLength: number }
type Space = { readonly totalBytes: number; readonly freeBytes: number; readonly availableBytes: number }

export interface Host {
  /** As `uname -m` says it: `aarch64`, `x86_64`. */
  readonly architecture: string
  /** The start of a text file, by its absolute path; 64 KiB unless told otherwise. */
  text(path: string, maxBytes?: number): Promise<string | Unavailable>
  /** The names in a folder. */
  names(path: string): Promise<readonly string[] | Unavailable>
  /** What a symbolic link holds. */
  link(path: string): Promise<string | Unavailable>
  space(path: string): Promise<Space | Unavailable>
  /** Addresses by interface. */
  addresses(): ReadonlyMap<string, readonly Address[]>
  /** Where a path of the machine is found, for those who hand it to a program. */
  place(path: string): string
  /** The whole environment of the programs that are run. */
  readonly env: Readonly<Record<string, string>>
  /** Whether a program is there to be run. */
  finds(program: string): Promise<boolean>
  /** Runs a command of the system, with at most 64 KiB of output unless told otherwise; faults as `exec` has them. */
  run(argv: readonly [string, ...string[]], timeoutMs: number, limits?: Pick<ExecOptions, 'maxBytes' | 'enoughLines'>): Promise<ExecResult>
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist on this machine',
  ENOTDIR: 'does not exist on this machine',
  ESRCH: 'belongs to a process that has ended',
  EACCES: 'may not be read by the user this server runs as',
  EPERM: 'may not be read by the user this server runs as',
  EOPNOTSUPP: 'is not offered by this kernel',
}

function unavailable(path: string, error: unknown): Unavailable {
  const code = (error as NodeJS.ErrnoException).code ?? String(error)
  return { unavailable: `${path} ${reasons[code] ?? `cannot be read (${code})`}` }
}

export function isKnown<T>(value: T): value is Exclude<T, Unavailable> {
  return typeof value !== 'object' || value === null || !('unavailable' in value)
}

/** The value, or undefined where the reason does not matter. */
export function known<T>(value: T): Exclude<T, Unavailable> | undefined {
  return isKnown(value) ? value : undefined
}

/** What `read` finds in the text of `path`, or the reason why it is not known. */
export function found<T>(text: string | Unavailable, path: string, read: (text: string) => T | undefined): T | Unavailable {
  return isKnown(text) ? (read(text) ?? { unavailable: `${path} does not say it` }) : text
}

async function readStart(path: string, maxBytes: number): Promise<string> {
  const file = await open(path, 'r')
  try {
    const chunks: Buffer[] = []
    for (let left = maxBytes; left > 0;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(left, 8 << 10)))
      if (bytesRead === 0) break
      chunks.push(buffer.subarray(0, bytesRead))
      left -= bytesRead
    }
    return Buffer.concat(chunks).toString('utf8')
  } finally {
    await file.close()
  }
}

/** The machine below `root`: '' for this one; a folder with its own proc, sys, etc and usr/bin for tests. */
export function createHost(root = ''): Host {
  const at = async <T>(path: string, read: (real: string) => Promise<T>): Promise<T | Unavailable> => {
    try {
      return await read(root + path)
    } catch (error) {
      return unavailable(path, error)
    }
  }
  const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']
  const env = { PATH: [...(root ? [`${root}/usr/bin`] : []), ...folders].join(':'), LC_ALL: 'C' }
  return {
    architecture: machine(),
    text: (path, maxBytes = 64 << 10) => at(path, (real) => readStart(real, maxBytes)),
    names: (path) => at(path, (real) => readdir(real)),
    link: (path) => at(path, (real) => readlink(real)),
    space: (path) =>
      at(path, async (real) => {
        const { bsize, blocks, bfree, bavail } = await statfs(real)
        return { totalBytes: bsize * blocks, freeBytes: bsize * bfree, availableBytes: bsize * bavail }
      }),
    addresses: () =>
      new Map(
        Object.entries(networkInterfaces()).map(([name, all]) => [
          name,
          (all ?? []).map(({ family, address, cidr }) => ({ family, address, prefixLength: Number(cidr?.split('/')[1] ?? 0) })),
        ]),
      ),
    place: (path) => root + path,
    env,
    async finds(program) {
      const places = env.PATH.split(':').map((folder) => access(`${folder}/${program}`, constants.X_OK))
      return (await Promise.allSettled(places)).some(({ status }) => status === 'fulfilled')
    },
    run: (argv, timeoutMs, limits) => exec(argv, { env, timeoutMs, maxBytes: 64 << 10, ...limits }),
  }
}
