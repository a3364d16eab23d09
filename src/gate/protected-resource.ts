// The gate as OAuth clients see it: which resource a path is (RFC 9728), whose tokens it takes, and what it asks for of whom it refuses (RFC 6750).
import type { Refused, Via } from '../base/access/principal.ts'

const wellKnown = '/.well-known/oauth-protected-resource'

export type ProtectedResourceSettings = {
  /** Where clients reach the gate: scheme, host and port, without a slash at the end. */
  readonly publicUrl: () => string
  /** Issuers of tokens; none: the gate is no OAuth resource, and its challenges say nothing of it. */
  readonly issuers: readonly string[]
  /** Every signed token needs all of them. */
  readonly scopes: readonly string[]
}

export class ProtectedResource {
  readonly scopes: readonly string[]
  readonly #settings: ProtectedResourceSettings

  constructor(settings: ProtectedResourceSettings) {
    this.#settings = settings
    this.scopes = settings.scopes
  }

  /** Whether a token for `audience` is one for this path: for exactly that resource, or for the whole gate. A slash at the end of the latter is URL's own. */
  isFor(audience: string, url: string): boolean {
    const gate = this.#settings.publicUrl()
    if (!audience.startsWith(gate)) return false
    const rest = audience.slice(gate.length)
    return rest === '' || rest === '/' || rest === pathOfResource(url)
  }

  /**
   * The metadata that is asked for, or undefined when this is no such question. It is the same for upstreams that are not there: which there are
   * is not told to strangers.
   */
  metadata(method: string | undefined, url: string): unknown {
    const path = url.split('?', 1)[0]!
    if (this.#settings.issuers.length === 0 || !path.startsWith(wellKnown) || (method !== 'GET' && method !== 'HEAD')) return undefined
    const rest = path.slice(wellKnown.length)
    if (rest !== '' && rest !== '/' && rest !== pathOfResource(rest)) return undefined
    return {
      resource: this.#settings.publicUrl() + rest,
      authorization_servers: this.#settings.issuers,
      bearer_methods_supported: ['header'],
      ...(this.scopes.length > 0 ? { scopes_supported: this.scopes } : {}),
    }
  }

  /** 401: nothing was shown, or what was shown is worth nothing here. `problem` is in words of our own. */
  unauthenticated(url: string, reason: string, shown?: { readonly via?: Via; readonly problem?: string }): Refused {
    const error = shown
      ? { error: 'invalid_token', ...(shown.problem === undefined ? {} : { error_description: shown.problem }) }
      : { ...this.#scope() }
    return {
      status: 401,
      reason,
      ...(shown?.via ? { via: shown.via } : {}),
      headers: { 'www-authenticate': this.#challenge(url, error) },
    }
  }

  /** 403: a good token that may too little. The challenge names all scopes that it needs, so that a client asks for them once. */
  insufficient(url: string): Refused {
    return {
      status: 403,
      reason: `the token needs the scope ${this.scopes.join(' ')}`,
      via: 'jwt',
      headers: { 'www-authenticate': this.#challenge(url, { error: 'insufficient_scope', ...this.#scope() }) },
    }
  }

  #scope(): Record<string, string> {
    return this.#settings.issuers.length > 0 && this.scopes.length > 0 ? { scope: this.scopes.join(' ') } : {}
  }

  #challenge(url: string, parameters: Readonly<Record<string, string>>): string {
    const all: Record<string, string> = { realm: 'fairlead', ...parameters }
    if (this.#settings.issuers.length > 0) all['resource_metadata'] = this.#settings.publicUrl() + wellKnown + (pathOfResource(url) ?? '')
    return `Bearer ${Object.entries(all)
      .map(([name, value]) => `${name}="${value}"`)
      .join(', ')}`
  }
}

function pathOfResource(url: string): string | undefined {
  return /^(\/mcp(?:\/[a-z0-9-]+)?)(?:\?|$)/.exec(url)?.[1]
}
