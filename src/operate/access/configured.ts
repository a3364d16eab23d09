// Who may come in, as the configuration says it: tokens are fetched and key files read at the start; keys behind a URL may come later.
import { isAbsolute, join } from 'node:path'
import { KeySet, type KeySource, keysAt, keysIn } from '../../base/access/key-set.ts'
import { type Principal, tokenHash } from '../../base/access/principal.ts'
import { type Credential, resolveCredential } from '../../base/config/credential.ts'
import { createHttpClient } from '../../base/http/client.ts'
import type { Admit } from '../../base/mcp/tool/http.ts'
import type { Role } from '../../base/mcp/tool/tool.ts'
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { OperateConfig } from '../config.ts'
import { fault } from '../faults.ts'
import { createAdmit } from './identify.ts'

export type AccessNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly env: Readonly<Record<string, string | undefined>>
  /** Relative files are below it: that of the configuration. */
  readonly folder: string
}

/** Undefined when nobody needs a credential: then only this machine is answered. Faults: those of credentials, `operate.bad_keys`, `operate.doubled_token`. */
export async function openAccess(
  needs: AccessNeeds,
  { access, server }: OperateConfig,
): Promise<(Disposable & { readonly admit: Admit }) | undefined> {
  const { tokens, issuers, cloudflare_access: cloudflare } = access
  const all: [name: string, token: Credential, role: Role][] = Object.entries(tokens).map(([name, { token, role }]) => [name, token, role])
  if (server.token) all.push(['token', server.token, server.role])
  if (all.length === 0 && Object.keys(issuers).length === 0 && !cloudflare) return undefined
  const byHash = new Map<string, Principal>()
  for (const [name, token, role] of all) {
    const hash = tokenHash((await resolveCredential(token, needs)).reveal())
    const other = byHash.get(hash)
    if (other) throw fault.doubled_token({ name, other: other.name })
    byHash.set(hash, { name, via: 'token', role })
  }
  const client = createHttpClient()
  const keySet = (name: string, source: KeySource): KeySet => new KeySet({ clock: needs.clock, log: needs.log, source }, name)
  const behind = (name: string, url: string): KeySet => {
    const keys = keySet(name, keysAt(client, new URL(url)))
    keys.get().catch(() => {}) // asked for at once, so that the log tells early when they cannot be had
    return keys
  }
  try {
    const admit = createAdmit(needs, {
      tokens: byHash,
      issuers: await Promise.all(
        Object.entries(issuers).map(async ([name, { jwks_file: file, jwks_url: url, ...one }]) => ({
          ...one,
          name,
          keys:
            file === undefined
              ? behind(name, url!)
              : await inFile(keySet(name, keysIn(isAbsolute(file) ? file : join(needs.folder, file)))),
        })),
      ),
      cloudflare: cloudflare && { ...cloudflare, keys: behind('Cloudflare Access', `${cloudflare.team}/cdn-cgi/access/certs`) },
    })
    return { admit, [Symbol.dispose]: () => client.close() }
  } catch (error) {
    client.close()
    throw error
  }
}

async function inFile(keys: KeySet): Promise<KeySet> {
  try {
    await keys.get()
    return keys
  } catch (error) {
    throw fault.bad_keys({ name: keys.name, reason: asFault(error).message }, error)
  }
}
