// The doors of a node's agent: its sockets, and HTTPS with tokens where its configuration says so. Each call by any of them leaves its lines in the ledger.
import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import type { Handlers } from '../../base/control/api.ts'
import { httpsAddress } from '../../base/control/https-way.ts'
import { type Certificate, type HttpsControl, openHttpsControl } from '../../base/control/https.ts'
import { openControl } from '../../base/control/server.ts'
import { createHttpClient } from '../../base/http/client.ts'
import { openLedger } from '../../base/ledger/ledger.ts'
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import { changeMark, readText } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import type { runApi } from '../api.ts'
import { callRecord } from '../call-record.ts'
import { nodePort } from '../client.ts'
import { fault } from '../faults.ts'
import { nodeApi } from '../node-api.ts'
import { admission, validatePath, validation } from '../token/admission.ts'
import { tokenHandlers } from '../token/operations.ts'
import { openTokens } from '../token/tokens.ts'
import { createValidator } from '../token/validator.ts'
import type { AgentConfig } from './config.ts'
import type { AgentFiles } from './files.ts'

const daemon = 'node agent'
/** How soon a certificate that was renewed is the one that is shown. */
const lookEveryMs = 10_000

export type DoorNeeds = { readonly clock: Clock; readonly log: Log; readonly handlers: Handlers<typeof runApi> }

/** Ended by disposing of it. `port`: of HTTPS, where it is open. Faults: `socket.*`, `control.busy_port`, `.bad_certificate`, `run.bad_listen`, `.no_certificate`, `ledger.*`, `token.unreadable`. */
export async function openDoors(
  { clock, log, handlers }: DoorNeeds,
  config: AgentConfig,
  files: AgentFiles & { readonly name: string },
): Promise<AsyncDisposable & { readonly port: number | undefined }> {
  await using stack = new AsyncDisposableStack()
  const ledger = openLedger({ folder: join(files.folder, 'calls'), origin: `${files.name}/calls`, clock, log })
  stack.defer(() => ledger.close())
  const tokens = openTokens({ clock }, { path: join(files.folder, 'tokens.json') })
  const { validator: outside } = config
  const http = outside && createHttpClient(16, outside.ca === undefined ? undefined : readText(outside.ca))
  if (http) stack.defer(() => http.close())
  const validator = http && createValidator({ http, clock }, outside!)
  const needs = {
    api: nodeApi,
    handlers: { ...handlers, ...tokenHandlers({ tokens, validator }) },
    record: callRecord({ ledger, clock }),
    clock,
    log,
  }
  const users = { tokens, validator, clock }
  const { listen } = config.server
  let https: HttpsControl | undefined
  if (listen !== undefined) {
    const address = httpsAddress(listen, nodePort)
    if (!address) throw fault.bad_listen({ listen })
    const paths = certificatePaths(config, files)
    const door = { admit: admission(users), others: { [validatePath]: validation(users) } }
    https = await openHttpsControl(needs, door, { daemon, ...address, certificate: certificateIn(paths) })
    stack.use(https)
    stack.defer(followCertificate({ clock, log }, paths, https))
  }
  stack.use(await openControl(needs, { daemon, folder: files.runtime }))
  const held = stack.move()
  return { port: https?.port, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

type Paths = { readonly chain: string; readonly key: string }

function certificatePaths({ server: { tls_cert, tls_key } }: AgentConfig, { certs }: AgentFiles): Paths {
  return { chain: tls_cert ?? join(certs, 'cert.pem'), key: tls_key ?? join(certs, 'key.pem') }
}

/** Fault `run.no_certificate`. */
function certificateIn({ chain: chainPath, key: keyPath }: Paths): Certificate {
  const [chain, key] = [readText(chainPath), readText(keyPath)]
  if (chain === undefined || key === undefined) throw fault.no_certificate({ path: chain === undefined ? chainPath : keyPath })
  return { chain, key }
}

/** One that is bad, or half written, changes nothing; it is looked at again. */
function followCertificate({ clock, log }: { readonly clock: Clock; readonly log: Log }, paths: Paths, https: HttpsControl): () => void {
  const mark = (): string => `${changeMark(paths.chain)} ${changeMark(paths.key)}`
  let seen = mark()
  let cancel = (): void => {}
  const look = (): void => {
    cancel = clock.after(lookEveryMs, look)
    try {
      const now = mark()
      if (now === seen) return
      https.setCertificate(certificateIn(paths))
      seen = now
      log.info('run.certificate_changed', { path: paths.chain })
    } catch (error) {
      log.warn('run.certificate_not_changed', { path: paths.chain, reason: asFault(error).message })
    }
  }
  cancel = clock.after(lookEveryMs, look)
  return () => cancel()
}

/** When the agent's certificate ends, ms since 1970; null without one. */
export function certificateEnd(config: AgentConfig, files: AgentFiles): number | null {
  if (config.server.listen === undefined) return null
  try {
    return new X509Certificate(readText(certificatePaths(config, files).chain)!).validToDate.getTime()
  } catch {
    return null
  }
}
