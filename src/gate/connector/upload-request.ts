// What an upload says of its file before the first byte: `?service=…&name=…`, its length, and its digest (RFC 9530).
import type { IncomingMessage } from 'node:http'
import { fault } from '../faults.ts'
import type { Upload } from './uploads.ts'

const maxUploadBytes = 2 ** 31
const maxNameLength = 1_024
const digestPattern = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):\s*(?:,|$)/

/** The file that the request brings. Fault `gate.bad_message`, with all that is missing. */
export function fileIn({ headers }: IncomingMessage, query: URLSearchParams): Omit<Upload, 'bytes' | 'from'> {
  const [service, name] = [query.get('service') ?? '', query.get('name') ?? '']
  const sizeBytes = Number(headers['content-length'] ?? Number.NaN)
  const header = headers['content-digest'] ?? headers['repr-digest']
  const digest = digestPattern.exec(String(header ?? ''))?.[1]
  const problems = [
    ...(service === '' ? ['service: is required in the query'] : []),
    ...(name === '' || name.length > maxNameLength ? ['name: is required in the query, with at most 1,024 characters'] : []),
    ...(Number.isNaN(sizeBytes) ? ['Content-Length: is required'] : []),
    ...(sizeBytes > maxUploadBytes ? [`Content-Length: must be at most ${maxUploadBytes}`] : []),
    ...(digest === undefined ? ['Content-Digest: is required, as sha-256=:BASE64:'] : []),
  ]
  if (problems.length > 0) throw fault.bad_message({ problems })
  const sha256 = Buffer.from(digest!, 'base64').toString('hex')
  return { service, name, sizeBytes, sha256, id: query.get('id') ?? `${name}\n${sha256}` }
}
