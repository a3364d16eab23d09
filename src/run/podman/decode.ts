// What podman answers, read with care: only what is used, each field checked, whatever else is there ignored, and what is missing told instead of guessed.
import { refused } from './client.ts'

/** One line of podman's list: quick to get, and only as true as podman's own record. */
export type Listed = {
  readonly id: string
  readonly name: string
  readonly state: string
  readonly pid: number
  /** Whole seconds since 1970. */
  readonly startedAt: number
  readonly exitCode: number
  readonly labels: Readonly<Record<string, string>>
}

/** What only an inspection tells of a container. */
export type Inspected = {
  readonly state: string
  readonly pid: number
  readonly conmonPid: number
  /** ms since 1970 */
  readonly startedAt: number
  readonly exitCode: number
  readonly restarts: number
  readonly image: string
  readonly imageName: string
  readonly imageDigest: string
  readonly hasHealthCheck: boolean
  readonly health: string
}

export type Image = { readonly id: string; readonly digest: string; readonly repoDigests: readonly string[] }

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})
const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0)
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const time = (value: unknown): number => Math.max(0, Date.parse(text(value)) || 0)

function idOf(fields: Fields, doing: string): string {
  const id = text(fields['Id'])
  if (!/^[0-9a-f]{64}$/.test(id)) throw refused(doing, 'it answered something without a valid Id')
  return id
}

/** Fault: `run.runtime_refused` when it is no list, or one of its entries is none. */
export function decodeList(body: unknown, doing: string): readonly Listed[] {
  if (body === null) return []
  if (!Array.isArray(body)) throw refused(doing, 'it answered no list')
  return body.map((entry) => {
    const fields = fieldsOf(entry)
    const labels = Object.entries(fieldsOf(fields['Labels'])).filter((pair): pair is [string, string] => typeof pair[1] === 'string')
    return {
      id: idOf(fields, doing),
      name: text(list(fields['Names'])[0]),
      state: text(fields['State']).toLowerCase(),
      pid: number(fields['Pid']),
      startedAt: Math.max(0, number(fields['StartedAt'])),
      exitCode: number(fields['ExitCode']),
      labels: Object.fromEntries(labels),
    }
  })
}

/** Fault: `run.runtime_refused` when it is no container. */
export function decodeInspected(body: unknown, doing: string): Inspected {
  const fields = fieldsOf(body)
  idOf(fields, doing)
  const state = fieldsOf(fields['State'])
  const config = fieldsOf(fields['Config'])
  return {
    state: text(state['Status']).toLowerCase(),
    pid: number(state['Pid']),
    conmonPid: number(state['ConmonPid']),
    startedAt: time(state['StartedAt']),
    exitCode: number(state['ExitCode']),
    restarts: number(fields['RestartCount']),
    image: text(fields['Image']),
    imageName: text(fields['ImageName']),
    imageDigest: text(fields['ImageDigest']),
    hasHealthCheck: list(fieldsOf(config['Healthcheck'])['Test']).length > 0,
    health: text(fieldsOf(state['Health'] ?? state['Healthcheck'])['Status']),
  }
}

/** Fault: `run.runtime_refused` when it is no image. */
export function decodeImage(body: unknown, doing: string): Image {
  const fields = fieldsOf(body)
  const id = idOf(fields, doing)
  const repoDigests = list(fields['RepoDigests']).map(text)
  return { id, digest: /^sha256:[0-9a-f]{64}$/.test(text(fields['Digest'])) ? text(fields['Digest']) : `sha256:${id}`, repoDigests }
}

/** Fault: `run.runtime_refused` when it is no list of images. */
export function decodeImages(body: unknown, doing: string): readonly Image[] {
  if (body === null) return []
  if (!Array.isArray(body)) throw refused(doing, 'it answered no list')
  return body.map((entry) => decodeImage(entry, doing))
}

/** The id of what was made. Fault: `run.runtime_refused`. */
export function decodeMade(body: unknown, doing: string): string {
  return idOf(fieldsOf(body), doing)
}

/** One line of a pull. */
export function decodePull(line: string): { readonly error?: string; readonly text?: string } {
  const fields = decodeLine(line)
  const error = text(fields['error'])
  return error === '' ? { text: text(fields['stream']).trim() } : { error }
}

/** One event: what happened, and to which container. */
export function decodeEvent(line: string): { readonly action: string; readonly id: string } {
  const fields = decodeLine(line)
  return { action: text(fields['Action']), id: text(fieldsOf(fields['Actor'])['ID']) }
}

/** What became of a command inside. */
export function decodeExec(body: unknown): { readonly isRunning: boolean; readonly pid: number; readonly exitCode: number } {
  const fields = fieldsOf(body)
  return { isRunning: fields['Running'] === true, pid: number(fields['Pid']), exitCode: number(fields['ExitCode']) }
}

/** What a health check found. */
export function decodeHealth(body: unknown): 'starting' | 'healthy' | 'unhealthy' {
  const status = text(fieldsOf(body)['Status'])
  return status === 'healthy' || status === 'unhealthy' ? status : 'starting'
}

/** The abilities that depend on the machine: which limits hold. */
export function decodeInfo(body: unknown): {
  readonly isRootless: boolean
  readonly isV2: boolean
  readonly controllers: ReadonlySet<string>
} {
  const host = fieldsOf(fieldsOf(body)['host'])
  return {
    isRootless: fieldsOf(host['security'])['rootless'] !== false,
    isV2: host['cgroupVersion'] === 'v2',
    controllers: new Set(list(host['cgroupControllers']).map(text)),
  }
}

function decodeLine(line: string): Fields {
  try {
    return fieldsOf(JSON.parse(line))
  } catch {
    return {}
  }
}
