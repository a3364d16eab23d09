// The dashboard's pages as they were built: read once, and sent compressed with what keeps a browser from doing anything with them that they do not need.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { fault } from './faults.ts'

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const startPage = 'index.html'

/** By what HTTP calls it, the best first. */
const encodings = { br: '.br', gzip: '.gz' } as const

/** Scripts and styles only from files of ours, no frame around us, nothing loaded from elsewhere, and no text that becomes code. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
}

type File = { readonly type: string; readonly plain: Uint8Array; readonly packed: ReadonlyMap<string, Uint8Array> }

class Files {
  readonly #files: ReadonlyMap<string, File>

  constructor(folder: string) {
    this.#files = filesIn(folder)
  }

  /** Answers `GET /` and `GET /web/<file>`; false where there is no such file. */
  answer({ method, headers }: IncomingMessage, path: string, response: ServerResponse): boolean {
    const isPage = path === '/'
    const file = this.#files.get(isPage ? startPage : path.slice('/web/'.length))
    if (!file || (method !== 'GET' && method !== 'HEAD')) return false
    const encoding = encodingFor(headers['accept-encoding'] ?? '', file)
    const body = encoding === undefined ? file.plain : file.packed.get(encoding)!
    response.writeHead(200, {
      ...securityHeaders,
      'content-type': file.type,
      'content-length': body.length,
      vary: 'accept-encoding',
      // the names of the others change with what is in them
      'cache-control': isPage ? 'no-cache' : 'public, max-age=31536000, immutable',
      ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
    })
    response.end(method === 'HEAD' ? undefined : body)
    return true
  }
}

function encodingFor(accepted: string, { packed }: File): string | undefined {
  const wanted = accepted
    .split(',')
    .flatMap((part) => (/;\s*q=0(?:\.0*)?\s*$/.test(part) ? [] : [part.split(';')[0]!.trim().toLowerCase()]))
  return Object.keys(encodings).find((name) => wanted.includes(name) && packed.has(name))
}

function filesIn(folder: string): ReadonlyMap<string, File> {
  const names = new Set(readdirSync(folder))
  const files = [...names].filter((name) => Object.hasOwn(types, extname(name)))
  return new Map(
    files.map((name) => {
      const packed = Object.entries(encodings).filter(([, ending]) => names.has(name + ending))
      return [
        name,
        {
          type: types[extname(name)]!,
          plain: readFileSync(join(folder, name)),
          packed: new Map(packed.map(([encoding, ending]) => [encoding, readFileSync(join(folder, name + ending))])),
        },
      ]
    }),
  )
}

/** Where the build puts the pages: beside the program, which may be run from its source. */
const builtFolders: readonly string[] = ['web', '../../../dist/web']

/** The pages of this program. Fault `dashboard.not_built`: an executable that is one file has none. */
export function builtFiles(): Files {
  const here: string | undefined = import.meta.dirname
  const folders = here === undefined ? [] : builtFolders.map((folder) => join(here, folder))
  const folder = folders.find((one) => existsSync(join(one, startPage)))
  if (folder === undefined) throw fault.not_built({ folder: folders[0] ?? 'this program' })
  return new Files(folder)
}
