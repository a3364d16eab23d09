// Tokens of an identity service for the nodes: got for a name and a password (OAuth 2.0, RFC 6749 §4.3), kept in files of one's own, and renewed before they end.
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { createHttpClient } from '../../base/http/client.ts'
import { type Clock, deadline } from '../../kernel/clock.ts'
import { Fault, reasonOf } from '../../kernel/fault.ts'
import { makeFolder, readText, removeFile, statOf, writeWhole } from '../../kernel/file.ts'
import { Secret } from '../../kernel/secret.ts'
import type { LoginEntry } from './config.ts'
import { fault } from './faults.ts'
import type { CliFiles } from './files.ts'

const timeoutMs = 10_000
const maxAnswerBytes = 64 << 10
const maxTokenLength = 16_384
/** A token is renewed so long before its end: what is asked with it takes time. */
const marginMs = 60_000
const lockMs = 15_000

export type Granted = { readonly token: Secret; readonly refresh: Secret | undefined; readonly endsAt: number | undefined }

type Needs = { readonly clock: Clock; readonly signal: AbortSignal }

/** Faults `mcp.login_refused`, `.no_identity_service`. */
export function signIn(
  needs: Needs,
  login: LoginEntry,
  files: CliFiles,
  { user, password }: { user: string; password: Secret },
): Promise<Granted> {
  return granted(needs, login, files, { grant_type: 'password', username: user, password: password.reveal() })
}

/** Keeps the token, and beside it what renews it, if anything does. */
export function keepGranted(tokenFile: string, { token, refresh, endsAt }: Granted): void {
  makeFolder(dirname(tokenFile))
  if (refresh) writeWhole(loginFile(tokenFile), JSON.stringify({ refresh: refresh.reveal(), endsAt: endsAt ?? 0 }))
  else removeFile(loginFile(tokenFile))
  writeWhole(tokenFile, `${token.reveal()}\n`)
}

/** Renews what is about to end. What the service refuses to renew stays as it is, and nodes refuse it. Fault `mcp.no_identity_service`, when a token has ended. */
export async function renewGranted(needs: Needs, login: LoginEntry | undefined, files: CliFiles): Promise<void> {
  const kept = statOf(files.nodes) ? readdirSync(files.nodes).filter((name) => name.endsWith('.token.login')) : []
  const tokens = [files.token, ...kept.map((name) => join(files.nodes, name.slice(0, -'.login'.length)))]
  for (const file of tokens) if (login && isEnding(needs.clock, keptRefresh(file))) await renewOne(needs, login, files, file)
}

/** One of several that run at once: a service may take a refresh token once, and end all of them when it comes again. */
async function renewOne(needs: Needs, login: LoginEntry, files: CliFiles, file: string): Promise<void> {
  using _ = await locked(needs, files.folder)
  const kept = keptRefresh(file)
  if (!kept || !isEnding(needs.clock, kept)) return
  try {
    const next = await granted(needs, login, files, { grant_type: 'refresh_token', refresh_token: kept.refresh })
    keepGranted(file, { ...next, refresh: next.refresh ?? new Secret(kept.refresh) })
  } catch (error) {
    const { code } = error as Partial<Fault>
    if (code === 'mcp.login_refused') removeFile(loginFile(file))
    else if (code !== 'mcp.no_identity_service' || needs.clock.now() > kept.endsAt) throw error // else it is still good
  }
}

async function locked({ clock, signal }: Needs, folder: string): Promise<Disposable> {
  const { lockFolder } = await import('../../base/store/lock.ts') // SQLite, which few commands need
  const until = clock.mono() + lockMs
  for (;;) {
    try {
      return lockFolder(folder, 'login')
    } catch (error) {
      if ((error as Fault).code !== 'store.locked' || clock.mono() > until) throw error
      await clock.wait(50, signal)
    }
  }
}

const loginFile = (tokenFile: string): string => `${tokenFile}.login`

type KeptRefresh = { readonly refresh: string; readonly endsAt: number }

function keptRefresh(tokenFile: string): KeptRefresh | undefined {
  const text = readText(loginFile(tokenFile))
  if (text === undefined) return undefined
  try {
    const { refresh, endsAt } = JSON.parse(text) as Partial<KeptRefresh>
    return typeof refresh === 'string' && typeof endsAt === 'number' ? { refresh, endsAt } : undefined
  } catch {
    return undefined
  }
}

function isEnding(clock: Pick<Clock, 'now'>, kept: KeptRefresh | undefined): boolean {
  return kept !== undefined && clock.now() > kept.endsAt - marginMs
}

async function granted({ clock, signal }: Needs, login: LoginEntry, { folder }: CliFiles, asked: Record<string, string>): Promise<Granted> {
  const { url, client, scope, ca } = login
  const http = createHttpClient({ authority: ca === undefined ? undefined : readFileSync(resolve(folder, ca), 'utf8') })
  try {
    const isFirst = asked['grant_type'] === 'password' // a renewal has the scope of its first
    const body = new URLSearchParams({ ...asked, client_id: client, ...(scope !== undefined && isFirst ? { scope } : {}) })
    const response = await http.send({
      method: 'POST',
      url: new URL(url),
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: Buffer.from(body.toString()),
      signal: deadline(clock, timeoutMs, signal),
    })
    let text = ''
    for await (const part of response.setEncoding('utf8') as AsyncIterable<string>) {
      text += part
      if (text.length > maxAnswerBytes) throw new Error('its answer is too long')
    }
    const { statusCode = 0 } = response
    if (statusCode === 400 || statusCode === 401) throw fault.login_refused({ url, reason: reasonIn(text, statusCode) })
    if (statusCode !== 200) throw new Error(`HTTP ${statusCode}`)
    return grantIn(text, clock.now())
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof Fault) throw error
    throw fault.no_identity_service({ url, reason: reasonOf(error) }, error)
  } finally {
    http.close()
  }
}

/** RFC 6749 §5.2: a word of the service's. What it says besides may repeat what it was asked. */
function reasonIn(text: string, status: number): string {
  const word = /"error"\s*:\s*"([a-z_]{1,64})"/.exec(text)?.[1]
  return word ?? `HTTP ${status}`
}

/** RFC 6749 §5.1. */
function grantIn(text: string, now: number): Granted {
  const { access_token: token, refresh_token: refresh, expires_in: lastsS } = JSON.parse(text) as Record<string, unknown>
  if (!isToken(token)) throw new Error('its answer holds no access_token')
  return {
    token: new Secret(token),
    refresh: isToken(refresh) ? new Secret(refresh) : undefined,
    endsAt: typeof lastsS === 'number' ? now + lastsS * 1_000 : undefined,
  }
}

/** RFC 6750 §2.1, so that it is one line, and fits into a header. */
function isToken(value: unknown): value is string {
  return typeof value === 'string' && value.length <= maxTokenLength && /^[\w.~+/-]+=*$/.test(value)
}
